-- The last snapshot of each source that was taken on or before a night; of any night if null.
select *
from snapshot
where taken_on <= coalesce($night, date '9999-12-31')
qualify row_number() over (
    partition by source_id
    order by taken_on desc, snapshot_id desc
) = 1
order by source_id
