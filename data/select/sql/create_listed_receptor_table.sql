-- The receptors that a source lists, such as schools and parks.
-- receptor_row holds the rows of the layer "receptors"; $classes are those that the plan protects.
create temp table listed_receptor as
select
    row_id,
    source_id || '/' || (row_number + 1) as receptor_id,
    receptor_class,
    name,
    -- A receptor whose point is on a site belongs to that site's own land.
    case
        when st_geometrytype(geometry) = 'POINT' then (
            select min(site.site_id)
            from site
            where st_intersects(site.geometry, receptor_row.geometry)
        )
    end as site_id,
    geometry
from receptor_row
where receptor_class in (select unnest($classes))
