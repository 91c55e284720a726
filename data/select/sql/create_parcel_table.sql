-- One row per parcel: what its use means, what kind of land it is, and the first rules.
-- parcel_row has the rows of the layer "parcels".

-- Parcels on the same ground, known by the row of the first. Comparing whole shapes takes long, so
-- only shapes with the same box are compared.
create temp table shared_ground as
with same_box as (
    select row_id
    from parcel_row
    where not st_isempty(geometry)
    qualify count(*) over (
        partition by
            jurisdiction,
            st_xmin(geometry), st_ymin(geometry), st_xmax(geometry), st_ymax(geometry)
    ) > 1
)
select
    row_id,
    min(row_id) over (
        partition by jurisdiction, st_aswkb(st_normalize(geometry))
    ) as ground_row
from parcel_row
join same_box using (row_id);

create temp table parcel as
select
    parcel_row.row_id,
    coalesce(ground_row, parcel_row.row_id) as ground_row,
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
        -- The same id on the same ground is one parcel that was entered twice, not two that are
        -- stacked. A row with homes stays, so that none is lost, else the first whose use is known.
        when row_number() over (
            partition by
                parcel_row.jurisdiction,
                trim(parcel_id),
                coalesce(ground_row, parcel_row.row_id)
            order by
                kind <> 'lot',
                coalesce(receptor, '') not in ('home', 'elderly', 'hotel'),
                meaning.class is null,
                parcel_row.row_id
        ) > 1 then 'entered twice'
    end as rule
from parcel_row
left join shared_ground using (row_id)
left join use_meaning as meaning
    on meaning.jurisdiction = parcel_row.jurisdiction
    and meaning.scheme = use_scheme
    and meaning.code = parcel_row.use_code
