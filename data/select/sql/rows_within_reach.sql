-- The rows of {table} within {reach_m} m of a site, once for each such site.
-- The join goes by the site's box, widened by the reach, which can be indexed; the distance decides.
select near.row_id
from {table} as near
join (
    select
        geometry,
        st_makeenvelope(
            st_xmin(geometry) - {reach_m},
            st_ymin(geometry) - {reach_m},
            st_xmax(geometry) + {reach_m},
            st_ymax(geometry) + {reach_m}
        )::geometry as box
    from site
) as reached on st_intersects(near.geometry::geometry, reached.box)
where st_distance(near.geometry, reached.geometry) <= {reach_m}
