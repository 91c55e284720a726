-- The vacant land near a site, each lot with the class of receptor of its largest zone.
-- $zones are the classes of zones, $zone_receptors the class of receptor in each of them, and $classes
-- are the classes of receptor that the plan protects.
create temp table vacant_receptor as
with near_lot as (
    select * from vacant_lot where row_id in ({rows_within_reach})
),
zoned as (
    select
        near_lot.row_id,
        zone_row.row_id as zone_row_id,
        map($zones, $zone_receptors)[meaning.class] as receptor_class,
        st_area(st_intersection(near_lot.geometry, zone_row.geometry)) as area_m2
    from near_lot
    join zone_row on st_intersects(near_lot.geometry, zone_row.geometry)
    left join zone_meaning as meaning
        on meaning.jurisdiction = zone_row.jurisdiction
        and meaning.scheme = zone_row.zone_scheme
        and meaning.code = zone_row.zone_code
),
area as (
    select
        row_id,
        coalesce(
            sum(area_m2 order by zone_row_id) filter (receptor_class = 'vacant_residential'), 0
        ) as residential_m2,
        coalesce(
            sum(area_m2 order by zone_row_id) filter (receptor_class = 'vacant_commercial'), 0
        ) as commercial_m2,
        coalesce(
            sum(area_m2 order by zone_row_id) filter (receptor_class = 'vacant_industrial'), 0
        ) as industrial_m2
    from zoned
    group by row_id
),
-- Ground in no zone, or in a zone that decides for no limit, may belong to any zone.
measured as (
    select
        near_lot.*,
        coalesce(residential_m2, 0) as residential_m2,
        coalesce(commercial_m2, 0) as commercial_m2,
        coalesce(industrial_m2, 0) as industrial_m2,
        greatest(
            st_area(geometry)
            - coalesce(residential_m2, 0) - coalesce(commercial_m2, 0) - coalesce(industrial_m2, 0),
            0
        ) as unknown_m2
    from near_lot
    left join area using (row_id)
),
-- A less strict class counts only if it is the largest even if the unknown ground has a stricter
-- one, so that a lost zone never makes a limit less strict.
classified as (
    select
        *,
        case
            when residential_m2 >= greatest(commercial_m2, industrial_m2, unknown_m2)
                then 'vacant_residential'
            when commercial_m2 >= industrial_m2 and commercial_m2 > residential_m2 + unknown_m2
                then 'vacant_commercial'
            when industrial_m2 > greatest(residential_m2, commercial_m2) + unknown_m2
                then 'vacant_industrial'
            else 'vacant_unknown'
        end as receptor_class
    from measured
)
select
    row_id,
    -- An id that another receptor or lot has as well gets the class behind it.
    case
        when parcel_id is null then 'parcel ' || row_id || ' ' || receptor_class
        when count(*) over (partition by parcel_id) > 1
            or parcel_id in (select receptor_id from parcel_receptor)
            then parcel_id || ' ' || receptor_class
        else parcel_id
    end as receptor_id,
    receptor_class,
    name,
    site_id,
    geometry
from classified
left join parcel_site using (row_id)
where receptor_class in (select unnest($classes))
order by row_id
