-- Make one row of "lot" per lot: parcels stacked on the same ground are one, and so are the pieces
-- of a repeated assessor id. Sums go by row_id, so that they do not depend on the number of cores.

-- Parcels on the same ground. A stack is known by the row_id of its first parcel.
create temp table stack_member as
select
    row_id,
    first_value(row_id) over (
        partition by jurisdiction, st_aswkb(st_normalize(geometry))
        order by parcel_id, row_id
    ) as stack_row
from parcel
where rule is null;

-- One row per stack. Its use is the first that is known; homes and business together are mixed.
create temp table stack as
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
group by stack_row;

-- Stacks with the same assessor id are pieces of one lot, known by the row of its first piece.
create temp table piece as
select
    row_id as stack_row,
    first_value(row_id) over (partition by jurisdiction, parcel_id order by row_id) as lot_row
from parcel
where row_id in (select stack_row from stack);

create temp table lot_geometry as
select
    lot_row,
    count(*) as piece_count,
    case
        when count(*) = 1 then first(geometry)
        else st_union_agg(geometry order by stack_row)
    end as geometry
from piece
join parcel on parcel.row_id = piece.stack_row
group by lot_row;

-- The tax rows behind a repeated id are the same for each piece: the first piece's count.
create temp table lot_record as
select
    piece.lot_row,
    first(parcel.parcel_id order by piece.stack_row) as parcel_id,
    first(parcel.jurisdiction order by piece.stack_row) as jurisdiction,
    first(parcel.address order by parcel.address is null, piece.stack_row) as address,
    first(parcel.city order by parcel.city is null, piece.stack_row) as city,
    first(parcel.recorded_area_m2 order by parcel.recorded_area_m2 is null, piece.stack_row)
        as recorded_area_m2,
    first(stack.use_code order by stack.use_class is null, piece.stack_row) as use_code,
    first(stack.use_title order by stack.use_class is null, piece.stack_row) as use_title,
    first(stack.use_class order by stack.use_class is null, piece.stack_row) as use_class,
    first(stack.use_state order by stack.use_class is null, piece.stack_row) as use_state,
    first(stack.record_count order by stack.record_count is null, piece.stack_row)
        as record_count,
    first(stack.building_area_m2 order by stack.building_area_m2 is null, piece.stack_row)
        as building_area_m2,
    first(stack.storeys order by stack.storeys is null, piece.stack_row) as storeys,
    sum(stack.stacked_count) as stacked_count,
    bool_or(own_dwelling) as own_dwelling,
    case when count(distinct stack.owner) = 1 then min(stack.owner) end as owner
from piece
join stack on stack.stack_row = piece.stack_row
join parcel on parcel.row_id = piece.stack_row
group by piece.lot_row;

create temp table lot as
select
    lot_record.*,
    piece_count,
    geometry,
    st_area(geometry) as lot_area_m2
from lot_record
join lot_geometry using (lot_row)
order by lot_row
