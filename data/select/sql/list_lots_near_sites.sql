-- Every piece of land near a site, its own included; ground that several parcels share is one row.
with other_parcel as (
    -- A site's own land is near it, so it need not be measured.
    select
        parcel.row_id,
        geometry
    from parcel
    left join parcel_site using (row_id)
    where site_id is null
),
near_parcel as (
    select
        parcel.*,
        parcel_site.site_id
    from parcel
    left join parcel_site using (row_id)
    where site_id is not null or parcel.row_id in ({rows_within_reach})
),
piece_of_land as (
    -- A lot goes before a street that was drawn over the same ground.
    select
        first(row_id order by kind <> 'lot', parcel_id, row_id) as row_id,
        first(parcel_id order by kind <> 'lot', parcel_id, row_id) as parcel_id,
        first(kind order by kind <> 'lot', parcel_id, row_id) as kind,
        case
            when bool_or(use_class = 'residential') then 'residential'
            else first(use_class order by use_class is null, kind <> 'lot', parcel_id, row_id)
        end as use_class,
        min(site_id) as site_id,
        first(geometry order by kind <> 'lot', parcel_id, row_id) as geometry
    from near_parcel
    group by ground_row
)
select
    coalesce(parcel_id, 'parcel ' || row_id) as lot_id,
    kind,
    use_class,
    site_id,
    geometry
from piece_of_land
order by lot_id, row_id
