-- Each lot with its largest zone, and the rule that sets it aside; a lot without a rule is a site.
-- site_row is the row of the lot that a joined site is known by: at first its own.
create temp table lot_decision as
with sized as (
    select *, max(area_m2) over (partition by lot_row) as largest_of_lot_m2
    from lot_zone
),
zoned as (
    select
        lot_row,
        first(zone_code order by area_m2 desc, zone_code) as largest_code,
        first(zone_class order by area_m2 desc, zone_code) as largest_class,
        -- Zones that are as large as the largest, such as a base district and one over it.
        count(distinct zone_code) filter (area_m2 >= $tied_from * largest_of_lot_m2) as tied_codes,
        count(distinct coalesce(zone_class, '')) filter (
            area_m2 >= $tied_from * largest_of_lot_m2
        ) as tied_classes,
        max(area_m2) as largest_m2,
        sum(area_m2 order by zone_code) as zoned_m2,
        coalesce(
            sum(area_m2 order by zone_code) filter (zone_class in (select unnest($zones))), 0
        ) as site_m2
    from sized
    group by lot_row
),
judged as (
    select
        lot.*,
        -- Of zones that lie over each other, or that each have half of a lot, none is the lot's.
        tied_codes > 1 as is_tied,
        case when not is_tied then largest_code end as zone_code,
        case when not is_tied or tied_classes = 1 then largest_class end as zone_class,
        is_tied and tied_classes > 1 as is_class_tied,
        zoned_m2,
        site_m2,
        -- least() ignores a null, and would give a lot in no zone the whole share.
        case when largest_m2 > lot_area_m2 then 1 else largest_m2 / lot_area_m2 end as zone_share,
        largest_m2 < $split_zone_below * zoned_m2 as zone_split,
        use_class is not null and use_class in (select unnest($classes)) as is_site_by_use
    from lot
    left join zoned using (lot_row)
)
select
    *,
    lot_row as site_row,
    1 as joined_count,
    case when is_site_by_use then 'use' else 'zoning' end as site_because,
    case
        when not is_site_by_use and use_class is not null and use_class <> 'vacant'
            then use_class || ' use'
        when not is_site_by_use and zoned_m2 is null
            then use_state || ' use in no zone'
        when not is_site_by_use and is_class_tied
            then use_state || ' use in several zones, none of them the largest'
        when not is_site_by_use and site_m2 < $zone_share_minimum * lot_area_m2
            then use_state || ' use in a zone that is not for sites'
        when lot_area_m2 < $minimum_area_m2 then $too_small
    end as rule
from judged
