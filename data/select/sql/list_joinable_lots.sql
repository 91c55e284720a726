-- Lots that are sites, or would be but for their size, of owners with several of them.
select
    lot_row,
    dense_rank() over (order by jurisdiction, owner) as owner,
    geometry
from lot_decision
where owner is not null and (rule is null or rule = $too_small)
qualify count(*) over (partition by jurisdiction, owner) > 1
order by parcel_id, lot_row
