-- Make one row of "lot" per lot: parcels stacked on the same ground are one, and so are the pieces
-- of a repeated assessor id. Sums go by row_id, so that they do not depend on the number of cores.
-- Most lots are one parcel, which needs no combining, so those that do are treated apart.

-- Parcels on the same ground. A stack is known by the row_id of its first parcel.
create temp table stack_member as
select
    row_id,
    first_value(row_id) over (partition by ground_row order by parcel_id, row_id) as stack_row,
    count(*) over (partition by ground_row) as stacked_count
from parcel
where rule is null;

-- One row per stack. Its use is the first that is known; homes and business together are mixed.
create temp table stack as
select
    row_id as stack_row,
    stacked_count,
    use_code,
    use_title,
    use_state,
    use_class,
    coalesce(receptor in ('home', 'elderly', 'hotel'), false) as own_dwelling,
    record_count,
    building_area_m2,
    storeys,
    owner
from stack_member
join parcel using (row_id)
where stacked_count = 1
union all by name
select
    stack_row,
    count(*) as stacked_count,
    first(use_code order by use_class is null, parcel_id, row_id) as use_code,
    first(use_title order by use_class is null, parcel_id, row_id) as use_title,
    first(use_state order by use_class is null, parcel_id, row_id) as use_state,
    case
        when bool_or(use_class = 'residential')
            and bool_or(use_class in ('commercial', 'industrial')) then 'mixed'
        else first(use_class order by use_class is null, parcel_id, row_id)
    end as use_class,
    coalesce(bool_or(receptor in ('home', 'elderly', 'hotel')), false) as own_dwelling,
    sum(record_count) as record_count,
    sum(building_area_m2 order by row_id) as building_area_m2,
    max(storeys) as storeys,
    -- A stack with several owners, or with an unknown one, is joined to no neighbor.
    case
        when count(owner) = count(*) and count(distinct owner) = 1 then min(owner)
    end as owner
from stack_member
join parcel using (row_id)
where stacked_count > 1
group by stack_row;

-- Stacks with the same assessor id are pieces of one lot, known by the row of its first piece.
create temp table piece as
select
    stack_row,
    first_value(stack_row) over (
        partition by jurisdiction, parcel_id order by stack_row
    ) as lot_row,
    count(*) over (partition by jurisdiction, parcel_id) as piece_count
from stack
join parcel on parcel.row_id = stack_row;

create temp table lot as
with part as (
    select
        lot_row,
        piece_count,
        parcel_id,
        jurisdiction,
        address,
        city,
        recorded_area_m2,
        stack.*,
        geometry
    from piece
    join stack using (stack_row)
    join parcel on parcel.row_id = stack_row
),
-- The tax rows behind a repeated id are the same for each piece: the first piece's count.
combined as (
    select * exclude (stack_row)
    from part
    where piece_count = 1
    union all by name
    select
        lot_row,
        count(*) as piece_count,
        first(parcel_id order by stack_row) as parcel_id,
        first(jurisdiction order by stack_row) as jurisdiction,
        first(address order by address is null, stack_row) as address,
        first(city order by city is null, stack_row) as city,
        first(recorded_area_m2 order by recorded_area_m2 is null, stack_row) as recorded_area_m2,
        first(use_code order by use_class is null, stack_row) as use_code,
        first(use_title order by use_class is null, stack_row) as use_title,
        first(use_class order by use_class is null, stack_row) as use_class,
        first(use_state order by use_class is null, stack_row) as use_state,
        first(record_count order by record_count is null, stack_row) as record_count,
        first(building_area_m2 order by building_area_m2 is null, stack_row) as building_area_m2,
        first(storeys order by storeys is null, stack_row) as storeys,
        sum(stacked_count) as stacked_count,
        bool_or(own_dwelling) as own_dwelling,
        case when count(distinct owner) = 1 then min(owner) end as owner,
        st_union_agg(geometry order by stack_row) as geometry
    from part
    where piece_count > 1
    group by lot_row
)
select
    *,
    st_area(geometry) as lot_area_m2
from combined
