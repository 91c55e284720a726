-- One row per parcel: what its use means, what kind of land it is, and the first rules.
-- parcel_row holds the rows of the layer "parcels".
create temp table parcel as
select
    parcel_row.row_id,
    nullif(trim(parcel_id), '') as parcel_id,
    parcel_row.jurisdiction,
    address,
    city,
    parcel_row.use_code,
    coalesce(meaning.title, use_title) as use_title,
    meaning.class as use_class,
    -- Noise rules protect businesses too. A receptor that the land-use table names goes before the
    -- one that follows from the class of use. Where the use is unknown, somebody may live there.
    coalesce(
        meaning.receptor,
        case
            when meaning.class in ('commercial', 'industrial') then meaning.class
            when meaning.class = 'mixed' then 'home'
            when meaning.code is null then 'unknown'
        end
    ) as receptor,
    case
        when parcel_row.use_code is null then 'missing'
        when meaning.code is null then 'unclassified'
        else meaning.class
    end as use_state,
    recorded_area_m2,
    building_area_m2,
    storeys,
    record_count,
    geometry,
    -- One owner is written in several ways: letter case and blanks do not count.
    nullif(trim(regexp_replace(upper(owner), '[[:space:]]+', ' ', 'g')), '') as owner,
    coalesce(map($polygon_kinds, $kinds)[upper(trim(polygon_kind))], 'lot') as kind,
    case
        when geometry is null or st_isempty(geometry) then 'no geometry'
        when kind <> 'lot' then 'not land'
        when nullif(trim(parcel_id), '') is null then 'no assessor id'
    end as rule
from parcel_row
left join use_meaning as meaning
    on meaning.jurisdiction = parcel_row.jurisdiction
    and meaning.scheme = use_scheme
    and meaning.code = parcel_row.use_code
order by row_id
