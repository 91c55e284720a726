-- How many rows of {new_table} are not in {old_table}, and the reverse, by the columns {columns}.
with counted as (
    select sum(step) as more
    from (
        select hash({columns}) as row_hash, 1 as step from {new_table}
        union all
        select hash({columns}), -1 from {old_table}
    )
    group by row_hash
)

select
    coalesce(sum(greatest(more, 0)), 0)::bigint,
    coalesce(sum(greatest(-more, 0)), 0)::bigint
from counted
