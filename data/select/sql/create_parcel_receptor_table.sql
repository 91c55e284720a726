-- The receptors among the parcels: one row per parcel id and class of receptor.
-- $classes are the classes of receptor that the plan protects.
create temp table parcel_receptor as
with receptor_parcel as (
    select
        min(parcel.row_id) as row_id,
        parcel.parcel_id,
        parcel.jurisdiction,
        receptor,
        first(address order by address is null, parcel.row_id) as name,
        case
            when count(distinct st_aswkb(geometry)) = 1
                then first(geometry order by parcel.row_id)
            else st_union_agg(geometry order by parcel.row_id)
        end as geometry
    from (
        -- Several homes on the same ground, such as condominiums, are one receptor.
        select
            *,
            row_number() over (
                partition by jurisdiction, receptor, st_aswkb(st_normalize(geometry))
                order by parcel_id, row_id
            ) as turn
        from parcel
        where receptor in (select unnest($classes))
            and coalesce(rule, 'no assessor id') = 'no assessor id'
    ) as parcel
    where turn = 1
    group by coalesce(parcel_id, 'parcel ' || row_id), parcel_id, jurisdiction, receptor
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
