-- The rows of {table} within {reach_m} m of a site, each once.
-- Shapes of several pieces are measured piece by piece: the box of a railway covers a whole town,
-- the boxes of its pieces do not.
with piece as materialized (
    select
        row_id,
        geometry::geometry as geometry,
        case st_geometrytype(geometry)
            when 'POINT' then geometry::geometry
            when 'LINESTRING' then st_startpoint(geometry::geometry)
            else st_pointn(st_exteriorring(geometry::geometry), 1)
        end as point
    from (
        select row_id, geometry
        from {table}
        where st_geometrytype(geometry) in ('POINT', 'LINESTRING', 'POLYGON')
            and not st_isempty(geometry)
        union all
        select row_id, unnest(st_dump(geometry::geometry)).geom
        from {table}
        where st_geometrytype(geometry) not in ('POINT', 'LINESTRING', 'POLYGON')
            and not st_isempty(geometry)
    )
),
-- Most rows need no measuring. On a grid with cells of an eighth of the reach, two points whose
-- cells are i columns and j rows apart are less than the reach apart if
-- (i + 1) ^ 2 + (j + 1) ^ 2 < 8 ^ 2. A short reach has too many cells, which decide too little.
near_cell as (
    select distinct site_cell.x + across.i as x, site_cell.y + up.j as y
    from (
        select distinct
            floor(st_x(point) * 8 / {reach_m})::bigint as x,
            floor(st_y(point) * 8 / {reach_m})::bigint as y
        from site_piece
        where {reach_m} >= {cells_from_m}
    ) as site_cell
    join range(-7, 8) as across (i) on true
    join range(-7, 8) as up (j) on (abs(i) + 1) ^ 2 + (abs(j) + 1) ^ 2 < 8 ^ 2
),
surely_near as materialized (
    select distinct row_id
    from piece
    where {reach_m} >= {cells_from_m}
        and (
            floor(st_x(point) * 8 / {reach_m})::bigint,
            floor(st_y(point) * 8 / {reach_m})::bigint
        ) in (select (x, y) from near_cell)
)
select row_id
from surely_near
union
select unsure.row_id
from (
    select row_id, geometry
    from piece
    where row_id not in (select row_id from surely_near)
) as unsure
join site_piece on st_dwithin(unsure.geometry, site_piece.geometry, {reach_m})
