-- Put each joined site in the place of its lots; the lots that it is not known by get a rule.
create or replace temp table lot_decision as
-- The cast drops the CRS of the column's type, which the joined ground does not have.
select * replace (geometry::geometry as geometry)
from lot_decision
where lot_row not in (select lot_row from joined_lot)
union all by name
select lot_row, site_row, $joined as rule
from joined_lot
where lot_row <> site_row
union all by name
select * from joined_site
