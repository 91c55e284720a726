"""Put the rows of many files together as one source."""

from collections.abc import Sequence
from glob import escape
from pathlib import Path

import geopandas as gpd
import pandas as pd

from data.protocols.formats import RASTER_FORMATS, format_of_suffix, sniff
from data.protocols.virtual import list_virtual_parts
from geo.errors import ConfigError

# Beside a raster: its position (a world file), and its CRS.
RASTER_SIDECARS = (".tfw", ".tifw", ".wld", ".prj")


def find_shards(files: Path, pattern: str, source_id: str) -> tuple[Path, ...]:
    """Return the files that a pattern stands for, in the order of their names.

    The parts of a shapefile stand for one file, and so does the folder of a file geodatabase.

    Args:
        files: The folder that the pattern is relative to.
        pattern: The pattern. `*` is any part of a name, `?` any letter of it, and `**` any folders.
        source_id: The source that names it, for the message.

    Returns:
        The files.

    Raises:
        ConfigError: There is no such file, or it is no pattern.
    """
    try:
        paths = sorted(files.glob(pattern.replace("[", "[[]")))
    except (NotImplementedError, ValueError) as error:
        raise ConfigError(
            f"pulling source {source_id!r}",
            f"fetch.path = {pattern!r} is not a pattern: {error}",
            "write it relative to the folder of files, with ** as a whole part: parcels/**/*.shp",
        ) from error
    shapes = {path.with_suffix("") for path in paths if path.suffix.lower() == ".shp"}
    shards = tuple(
        path
        for path in paths
        if not path.name.startswith(".")
        and (path.is_file() or path.suffix.lower() == ".gdb")
        and (path.suffix.lower() == ".shp" or path.with_suffix("") not in shapes)
        and not any(folder.suffix.lower() == ".gdb" for folder in path.parents)
    )
    if not shards:
        raise ConfigError(
            f"pulling source {source_id!r}",
            f"fetch.path = {pattern!r}: there is no such file in {files}",
            "put the files there, correct the pattern, or set PADFINDER_FILES (or files in "
            "padfinder.toml) to the folder that holds them",
        )
    return shards


def list_parts(path: Path, source_id: str) -> list[Path]:
    """Return every file that is read with a file, itself first unless it is a shapefile.

    Args:
        path: The file, or the folder of a file geodatabase.
        source_id: The source that names it, for messages.

    Returns:
        The files: the parts of a shapefile or a geodatabase, a raster with its position and its
        CRS, a virtual file with the rasters that it is made of.

    Raises:
        SourceChanged: A file behind a virtual file is missing.
    """
    if path.is_dir():
        return sorted(part for part in path.rglob("*") if part.is_file())
    if path.suffix.lower() == ".shp":
        parts = path.parent.glob(f"{escape(path.stem)}.*")
        return sorted(part for part in parts if part.is_file())
    if sniff(path).kind == "vrt":
        return [path, *list_virtual_parts(path, source_id)]
    return [path, *(one for one in _list_sidecars(path) if one.is_file())]


def is_sidecar(name: str, main: str) -> bool:
    """Return whether a file lies beside a raster to say where it is and in which CRS.

    >>> is_sidecar("dem.tfw", "dem.tif"), is_sidecar("tile.tif", "dem.vrt")
    (True, False)
    """
    return name in {one.name for one in _list_sidecars(Path(main))}


def _list_sidecars(path: Path) -> list[Path]:
    if format_of_suffix(path.name) not in RASTER_FORMATS:
        return []
    beside = [path.with_suffix(suffix) for suffix in RASTER_SIDECARS]
    return [*beside, path.with_name(f"{path.name}.aux.xml")]


def name_apart(paths: Sequence[Path]) -> list[str]:
    """Return the names of files, with as many of their folders as it takes to tell them apart.

    >>> name_apart([Path("files/a/lots.shp"), Path("files/b/lots.shp")])
    ['a/lots.shp', 'b/lots.shp']
    """
    depth = 1
    while True:
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names) or depth >= max(len(path.parts) for path in paths):
            return names
        depth += 1


def join_frames(frames: Sequence[gpd.GeoDataFrame], columns: Sequence[str]) -> gpd.GeoDataFrame:
    """Return the rows of all frames, in order.

    Args:
        frames: The frames, in one CRS. Each has the columns.
        columns: The columns to keep; those that all frames have, if there are none.

    Returns:
        The rows, numbered anew.
    """
    names = list(columns) or [
        name for name in frames[0].columns if all(name in frame for frame in frames)
    ]
    names = [name for name in names if name != "geometry"]
    parts = [frame[[*names, "geometry"]] for frame in frames]
    for name in names:
        if len({str(part[name].dtype) for part in parts}) > 1:
            parts = [part.assign(**{name: _keep_whole(part[name])}) for part in parts]
    return gpd.GeoDataFrame(pd.concat(parts, ignore_index=True), crs=frames[0].crs)


def _keep_whole(values: pd.Series) -> pd.Series:
    """Return whole numbers as integers, because the text "7" of another file is not "7.0"."""
    if values.dtype.kind == "f" and bool((values.dropna() % 1 == 0).all()):
        return values.astype("Int64")
    return values
