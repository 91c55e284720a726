-- Vacant land: one row per lot, with the ground of the lot on which no record names another receptor.
-- Streets, rail and water are not land, so they have a rule. Residential use without a receptor, such
-- as a vacant house lot, counts as vacant. Parcels on the same ground count once.
create temp table vacant_lot as
with vacant_stack as (
    select stack_row
    from stack_member
    join parcel using (row_id)
    group by stack_row
    having count(receptor) = 0 and bool_or(use_class in ('vacant', 'residential'))
),
vacant_piece as (
    select
        lot_row as row_id,
        stack_row as piece_row
    from vacant_stack
    join piece using (stack_row)
    union all
    -- A parcel without an assessor id is land too, but never part of a site.
    select
        row_id,
        row_id as piece_row
    from parcel
    where rule = 'no assessor id' and receptor is null and use_class in ('vacant', 'residential')
)
select
    vacant_piece.row_id,
    first(parcel_id order by piece_row) as parcel_id,
    first(address order by address is null, piece_row) as name,
    case
        when count(*) = 1 then first(geometry)
        else st_union_agg(geometry order by piece_row)
    end as geometry
from vacant_piece
join parcel on parcel.row_id = piece_row
group by vacant_piece.row_id
order by vacant_piece.row_id
