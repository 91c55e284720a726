-- The lots whose use does not rule them out; $classes are the classes of use of a site.
select
    lot_row,
    lot_area_m2,
    geometry
from lot
where use_class is null or use_class = 'vacant' or use_class in (select unnest($classes))
order by lot_row
