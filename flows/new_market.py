"""Write a market's folder from datasets that nobody has declared yet, for a person to review."""

import datetime as dt
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from data.choose_rows import choose_tags, narrow_to_bounds
from data.given import Given
from data.guess.codes import Code
from data.guess.declare import (
    SCHEME,
    draft_source,
    guess_kind,
)
from data.guess.lines import Line, Table, write_toml
from data.guess.market import add_words, write_land_use, write_market
from data.guess.place import PlaceGuess, guess_bounds, guess_place
from data.guess.raster import draft_raster
from data.guess.second_table import SecondTable
from data.guess.shape_kinds import check_shapes
from data.look import Dataset, look_at, look_at_table
from flows import settings
from flows.check import is_crs
from flows.declarations import LAND_USE_FILE, MARKET_FILE, read_declarations
from flows.settings import Workspace
from flows.written_market import WrittenMarket, print_market
from geo import catalogue
from geo.addresses import hide_secrets
from geo.errors import ConfigError
from geo.model import Degrees, Layer

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_SETTINGS_HEAD = "Where the datasets and the markets are. padfinder.example.toml has every key."
_SETTINGS_FILE, _MARKETS = "padfinder.toml", "markets"
# The option of each layer whose name is another.
OPTIONS = {"mains": "gas-mains"}


@dataclass(frozen=True)
class NewMarket:
    """What a person says of a new market.

    Attributes:
        name: Its id.
        places: Files or addresses, by layer.
        parcels_table: A second table with more columns of the parcels.
        use_words: A list of use codes and what they mean.
        zoning_words: A list of zoning codes and what they mean.
        parcel_id: The column of the assessor's ids.
        crs: The CRS of datasets that name none.
        bounds: Its bounds in degrees, "west,south,east,north".
        title: Its title.
        overwrite: Whether files that are there are replaced.
    """

    name: str
    places: Mapping[str, tuple[str, ...]]
    parcels_table: str | None = None
    use_words: str | None = None
    zoning_words: str | None = None
    parcel_id: str | None = None
    crs: str | None = None
    bounds: str | None = None
    title: str | None = None
    overwrite: bool = False


def create_market(new: NewMarket) -> None:
    """Look at the datasets of a new market, write its folder, and print every guess.

    Args:
        new: What a person says of it.

    Raises:
        ConfigError: The name cannot be used, the market exists, or a file or CRS is missing.
        ContractError: A dataset has no ids, or shapes of another kind than its layer.
        SourceChanged: A dataset cannot be read.
        SourceDown: A server does not answer.
    """
    _check_crs(new.crs)
    bounds = None if new.bounds is None else _read_bounds(new.bounds)
    workspace, settings_text = _find_workspace(new)
    written = WrittenMarket(_find_folder(new, workspace))
    base = workspace.files or Path.cwd()
    if (base / new.name).is_dir():
        base /= new.name
    console = Console(highlight=False, soft_wrap=True)

    def name_path(path: Path) -> str:
        return path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path)

    def look(layer: str, text: str) -> Dataset:
        option = f"--{OPTIONS.get(layer, layer).replace('_', '-')}"
        console.print(f"Looking at {option} {hide_secrets(text)} ...", markup=False)
        today = dt.datetime.now(dt.UTC).date()
        dataset = look_at(Given(text, option, new.crs, bounds), today, name_path)
        return dataset if bounds is None else narrow_to_bounds(dataset, bounds)

    layers = catalogue.read_layers()
    parcels = look("parcels", new.places["parcels"][0])
    check_shapes(parcels, layers["parcels"], "--parcels")
    west, south, east, north = map(float, parcels.rows.to_crs("EPSG:4326").total_bounds)
    extent = (west, south, east, north)
    place = guess_place(extent)
    why = "as given by --bounds"
    if bounds is None and parcels.is_whole:
        bounds = guess_bounds(extent)
        why = "the parcels, and 0.25 degrees around them for what matters to them"
    bounds_line = Line("bounds", bounds, why)
    if bounds is None:
        why = "west, south, east and north of the market in degrees; only some parcels were seen"
        bounds_line = Line("bounds", (), why, is_open=True)
    for layer_id, texts in new.places.items():
        for text in texts:
            layer = layers[layer_id]
            source_id = _name_source(new.name, layer_id, written)
            if layer.is_raster:
                raster = Given(text, f"--{layer_id}", new.crs)
                written.drafts.append((draft_raster(source_id, layer, raster, name_path), None))
                continue
            dataset = parcels if layer_id == "parcels" else look(layer_id, text)
            dataset = choose_tags(dataset, layer_id)
            check_shapes(dataset, layer, f"--{OPTIONS.get(layer_id, layer_id).replace('_', '-')}")
            second = _read_second(new, name_path) if layer_id == "parcels" else None
            draft = draft_source(
                source_id,
                dataset,
                layer,
                place.crs,
                _find_constants(new.name, layer, dataset),
                second,
                new.parcel_id if layer_id == "parcels" else None,
            )
            written.drafts.append((draft, dataset))
    _write_texts(new, (place, bounds_line), written, name_path)
    if settings_text:
        written.texts = {Path.cwd() / _SETTINGS_FILE: settings_text, **written.texts}
    _save(written)
    print_market(console, written, new.places)


def _find_workspace(new: NewMarket) -> tuple[Workspace, str]:
    """Return the settings, and the text of a padfinder.toml if there is none yet."""
    workspace = settings.read_settings()
    if workspace.markets:
        return workspace, ""
    has_file = bool(os.environ.get("PADFINDER_CONFIG")) or Path(_SETTINGS_FILE).is_file()
    if has_file:
        raise ConfigError(
            f"writing market {new.name}",
            "padfinder.toml names no folder of markets",
            f'add markets = ["{_MARKETS}"] to it, and create that folder',
        )
    files = workspace.files or _common_folder(new)
    here = Path.cwd()
    shown = files.relative_to(here).as_posix() if files.is_relative_to(here) else str(files)
    tables = [Table("", (Line("files", shown), Line("markets", [_MARKETS])))]
    text = write_toml(tables, _SETTINGS_HEAD)
    found = Workspace(**(vars(workspace) | {"files": files, "markets": (here / _MARKETS,)}))
    return found, text


def _check_crs(crs: str | None) -> None:
    if crs is not None and not is_crs(crs):
        raise ConfigError("reading --crs", f"{crs!r} is not known", "write it as EPSG:2249")


def _read_bounds(text: str) -> Degrees:
    """Return bounds from a text such as -71.16,42.35,-71.06,42.41. Raises ConfigError."""
    try:
        west, south, east, north = map(float, text.split(","))
    except ValueError:
        west = south = east = north = 0.0
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise ConfigError(
            "reading --bounds",
            f"{text!r} is not west, south, east and north in degrees",
            "write it as -71.16,42.35,-71.06,42.41",
        )
    return (west, south, east, north)


def _common_folder(new: NewMarket) -> Path:
    """Return the folder that holds every given file, or the working folder without one."""
    texts = [text for texts in new.places.values() for text in texts]
    texts += [text for text in (new.parcels_table,) if text]
    paths = [Path(text).expanduser().absolute() for text in texts if "://" not in text]
    folders = [path.parent for path in paths if path.parent.is_dir()]
    return Path(os.path.commonpath(folders)) if folders else Path.cwd()


def _find_folder(new: NewMarket, workspace: Workspace) -> Path:
    """Return the folder of the new market. Raises ConfigError if its name cannot be used."""
    doing = f"writing market {new.name!r}"
    if not _NAME.fullmatch(new.name):
        plain = re.sub(r"[^a-z0-9]+", "_", new.name.lower()).strip("_")
        hint = plain if _NAME.fullmatch(plain) else "mytown"
        raise ConfigError(
            doing,
            "a market's name is small letters, digits and _, and begins with a letter",
            f"name it {hint}, for example",
        )
    folder = workspace.markets[0] / new.name
    is_there = folder.exists() and any(folder.iterdir())
    if is_there and not new.overwrite:
        raise ConfigError(
            doing,
            f"there is a folder {folder} already, and nothing in it was changed",
            "choose another name, or add --overwrite to replace its files",
        )
    folders = tuple(one for one in workspace.markets if one.is_dir())
    known = read_declarations(replace(workspace, markets=folders)).markets
    if not is_there and new.name in known:
        raise ConfigError(doing, "there is a market of that name already", "choose another name")
    return folder


def _name_source(name: str, layer_id: str, written: WrittenMarket) -> str:
    taken = {draft.id for draft, _ in written.drafts}
    names = [f"{name}_{layer_id}", *(f"{name}_{layer_id}_{nth}" for nth in range(2, 1000))]
    return next(one for one in names if one not in taken)


def _read_second(new: NewMarket, name_path: Any) -> SecondTable | None:
    if new.parcels_table is None:
        return None
    given = Given(new.parcels_table, "--parcels-table")
    return SecondTable(*look_at_table(given, name_path))


def _find_constants(name: str, layer: Layer, dataset: Dataset) -> dict[str, tuple[Any, str]]:
    """Return the values that are the same in every row, with the reason, by column."""
    constants: dict[str, tuple[Any, str]] = {}
    if layer.id in {"parcels", "zoning"}:
        constants["jurisdiction"] = (name, "")
        constants["use_scheme" if layer.id == "parcels" else "zone_scheme"] = (SCHEME, "")
    if (kind := guess_kind(layer, dataset)) is not None:
        constants[layer.kind_column or "kind"] = kind
    if layer.id == "gas_signs" and "leak" in dataset.name.lower():
        constants["sign"] = ("leak_report", f"the name {dataset.name} says 'leak'")
    if layer.id == "capacity":
        types = dataset.rows.geometry.geom_type.dropna()
        grain = "feeder" if types.str.contains("Line").any() else "area"
        constants["grain"] = (grain, "by its shapes; may be feeder, segment, cell or area")
        if re.search(r"host|gen|solar|der", dataset.name.lower()):
            constants["kind"] = ("generation", "hosting capacity is for generation, not for load")
    return constants


# ---------------------------------------------------------------------------------------------
# Files


def _write_texts(
    new: NewMarket, where: tuple[PlaceGuess, Line], written: WrittenMarket, name_path: Any
) -> None:
    """Fill in the text of each file. `where` is the place of the market, and its bounds."""
    place, bounds = where
    title = new.title or new.name.replace("_", " ").title()
    title += f", {place.state}" if place.state and not new.title else ""
    written.market = write_market(
        new.name, title, place, bounds, [one.id for one, _ in written.drafts]
    )
    written.texts[written.folder / MARKET_FILE] = write_toml([written.market], _HEAD)
    uses = _collect_codes(written, "parcels", new.use_words, "--use-words", name_path)
    zones = _collect_codes(written, "zoning", new.zoning_words, "--zoning-words", name_path)
    written.texts[written.folder / LAND_USE_FILE] = write_land_use(new.name, uses, zones)
    for draft, _ in written.drafts:
        path = written.folder / "sources" / f"{draft.id}.toml"
        written.texts[path] = write_toml(draft.tables)


_HEAD = (
    "Written by `padfinder new-market`. Look at each line below a REVIEW mark, correct it, and "
    "delete the mark."
)


def _collect_codes(
    written: WrittenMarket, layer: str, words: str | None, option: str, name_path: Any
) -> tuple[Code, ...]:
    codes = tuple(
        {
            code.code: code
            for draft, _ in written.drafts
            if draft.layer == layer
            for code in draft.codes
        }.values()
    )
    if words is None or not codes:
        return codes
    table, path, _ = look_at_table(Given(words, option), name_path)
    named, count = add_words(codes, table)
    if not count:
        raise ConfigError(
            f"reading {option}",
            f"no column of {path} holds the codes, such as {codes[0].code!r}",
            "name a CSV with the codes in one column and what they mean in others",
        )
    written.notes.append(f"{option}: {path} has words for {count} of {len(codes)} codes")
    return named


def _save(written: WrittenMarket) -> None:
    """Write every file. Raises ConfigError if one cannot be written."""
    others = sorted(written.folder.rglob("*.toml")) if written.folder.is_dir() else []
    written.left = [path for path in others if path not in written.texts]
    for path, text in written.texts.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file():
                written.replaced.append(path)
            path.write_text(text, "utf-8")
        except OSError as error:
            raise ConfigError(
                f"writing market {written.folder.name}",
                f"the file {path} cannot be written: {error.strerror}",
                "check the free space of the disk and the rights to the folder",
            ) from error
