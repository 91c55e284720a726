-- The sites, their pieces, and the site that each parcel is part of (null where of none).
create temp table site as
select
    parcel_id as site_id,
    lot_decision.*,
    setback_front_m,
    setback_side_m,
    setback_rear_m,
    setback_home_m
from lot_decision
left join zone_setback using (jurisdiction, zone_code)
where rule is null
order by parcel_id, lot_row;

create temp table parcel_site as
select
    parcel.row_id,
    site.site_id
from parcel
left join stack_member on stack_member.row_id = parcel.row_id
left join piece on piece.stack_row = stack_member.stack_row
left join lot_decision on lot_decision.lot_row = piece.lot_row
left join site on site.lot_row = lot_decision.site_row;

-- The sites' ground, one row per piece, each with a point of it.
create temp table site_piece as
select
    geometry,
    st_pointn(st_exteriorring(geometry), 1) as point
from (
    select unnest(st_dump(geometry::geometry)).geom as geometry
    from site
)
