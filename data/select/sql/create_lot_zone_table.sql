-- The area of each zone in each lot that its use does not rule out.
-- zone_row holds the rows of the layer "zoning"; $classes are the classes of use of a site.
create temp table lot_zone as
with overlap as (
    select
        lot.lot_row,
        zone_row.row_id as zone_row_id,
        zone_row.zone_code,
        meaning.class as zone_class,
        st_area(st_intersection(lot.geometry, zone_row.geometry)) as area_m2
    from (
        select lot_row, geometry
        from lot
        where use_class is null or use_class = 'vacant' or use_class in (select unnest($classes))
    ) as lot
    join zone_row on st_intersects(lot.geometry, zone_row.geometry)
    left join zone_meaning as meaning
        on meaning.jurisdiction = zone_row.jurisdiction
        and meaning.scheme = zone_row.zone_scheme
        and meaning.code = zone_row.zone_code
)
select
    lot_row,
    zone_code,
    zone_class,
    sum(area_m2 order by zone_row_id) as area_m2
from overlap
where area_m2 > 0
group by lot_row, zone_code, zone_class
