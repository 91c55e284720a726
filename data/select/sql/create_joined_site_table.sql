-- One row per group of joined lots, with the columns of lot_decision.
-- joined_lot says which lots are joined (lot_row, site_row), joined_geometry holds their ground.
create temp table joined_site as
with member as (
    select lot_decision.* exclude (site_row), joined_lot.site_row
    from joined_lot
    join lot_decision using (lot_row)
),
zoned as (
    select
        site_row,
        zone_code,
        sum(area_m2 order by lot_row, zone_class) as zone_m2
    from joined_lot
    join lot_zone using (lot_row)
    group by site_row, zone_code
),
split as (
    select
        site_row,
        max(zone_m2) < $split_zone_below * sum(zone_m2 order by zone_code) as zone_split
    from zoned
    group by site_row
),
-- The least id; use and zone of the largest lot; what can be counted is summed.
combined as (
    select
        site_row as lot_row,
        site_row,
        first(parcel_id order by parcel_id, lot_row) as parcel_id,
        first(jurisdiction order by parcel_id, lot_row) as jurisdiction,
        first(address order by address is null, parcel_id, lot_row) as address,
        first(city order by city is null, parcel_id, lot_row) as city,
        first(use_code order by lot_area_m2 desc, parcel_id, lot_row) as use_code,
        first(use_title order by lot_area_m2 desc, parcel_id, lot_row) as use_title,
        first(use_class order by lot_area_m2 desc, parcel_id, lot_row) as use_class,
        first(site_because order by lot_area_m2 desc, parcel_id, lot_row) as site_because,
        first(zone_code order by lot_area_m2 desc, parcel_id, lot_row) as zone_code,
        first(zone_class order by lot_area_m2 desc, parcel_id, lot_row) as zone_class,
        sum(recorded_area_m2 order by parcel_id, lot_row) as recorded_area_m2,
        sum(building_area_m2 order by parcel_id, lot_row) as building_area_m2,
        sum(record_count) as record_count,
        max(storeys) as storeys,
        sum(stacked_count) as stacked_count,
        sum(piece_count) as piece_count,
        count(*) as joined_count,
        bool_or(own_dwelling) as own_dwelling
    from member
    group by site_row
)
select
    combined.*,
    st_geomfromwkb(wkb) as geometry,
    st_area(st_geomfromwkb(wkb)) as lot_area_m2,
    case
        when zone_m2 > st_area(st_geomfromwkb(wkb)) then 1
        else zone_m2 / st_area(st_geomfromwkb(wkb))
    end as zone_share,
    zone_split
from combined
join joined_geometry using (site_row)
left join zoned using (site_row, zone_code)
left join split using (site_row)
