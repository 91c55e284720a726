-- The receptors among the parcels: one row per parcel id and class of receptor.
-- $classes are the classes of receptor that the plan protects.
create temp table parcel_receptor as
with turn as (
    -- Several homes on the same ground, such as condominiums, are one receptor.
    select
        row_id,
        parcel_id,
        jurisdiction,
        receptor
    from parcel
    where receptor in (select unnest($classes))
        and coalesce(rule, 'no assessor id') = 'no assessor id'
    qualify row_number() over (partition by ground_row, receptor order by parcel_id, row_id) = 1
),
counted as (
    select
        row_id,
        count(*) over (
            partition by coalesce(parcel_id, 'parcel ' || row_id), parcel_id, jurisdiction, receptor
        ) as piece_count
    from turn
),
receptor_parcel as (
    select
        row_id,
        parcel_id,
        receptor,
        address as name,
        geometry
    from parcel
    join counted using (row_id)
    where piece_count = 1
    union all
    select
        min(row_id) as row_id,
        parcel_id,
        receptor,
        first(address order by address is null, row_id) as name,
        st_union_agg(geometry order by row_id) as geometry
    from parcel
    join counted using (row_id)
    where piece_count > 1
    group by parcel_id, jurisdiction, receptor
)
select
    row_id,
    case
        when parcel_id is not null and count(*) over (partition by parcel_id) = 1 then parcel_id
        else coalesce(parcel_id || ' ', 'parcel ' || row_id || ' ') || receptor
    end as receptor_id,
    receptor as receptor_class,
    name,
    site_id,
    geometry
from receptor_parcel
left join parcel_site using (row_id)
