-- The receptors that a source lists, such as schools and parks.
-- receptor_row has the rows of the layer "receptors"; $classes are those that the plan protects.
create temp table listed_receptor as
with receptor as (
    select *
    from receptor_row
    where receptor_class in (select unnest($classes))
),
-- A receptor whose point is on a site belongs to that site's own land.
on_site as (
    select
        receptor.row_id,
        min(site.site_id) as site_id
    from receptor
    join site on st_intersects(site.geometry::geometry, receptor.geometry::geometry)
    where st_geometrytype(receptor.geometry) = 'POINT'
    group by receptor.row_id
)
select
    row_id,
    source_id || '/' || (row_number + 1) as receptor_id,
    receptor_class,
    name,
    site_id,
    geometry
from receptor
left join on_site using (row_id)
