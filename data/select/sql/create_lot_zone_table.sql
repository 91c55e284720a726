-- The area of each zone in each lot that its use does not rule out.
-- zone_row has the rows of the layer "zoning"; overlap the area of each of them in each lot.
create temp table lot_zone as
select
    lot_row,
    zone_row.zone_code,
    meaning.class as zone_class,
    sum(overlap.area_m2 order by zone_row_id) as area_m2
from overlap
join zone_row on zone_row.row_id = zone_row_id
left join zone_meaning as meaning
    on meaning.jurisdiction = zone_row.jurisdiction
    and meaning.scheme = zone_row.zone_scheme
    and meaning.code = zone_row.zone_code
group by lot_row, zone_row.zone_code, meaning.class
