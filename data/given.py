"""What a person gives for a dataset: a file or an address, and the errors that name it."""

import datetime as dt
import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.guess.lines import Line
from data.source import Source
from geo.errors import ConfigError, PadfinderError
from geo.model import Degrees

_YEAR = re.compile(r"(?<!\d)(?:FY)?((?:19|20)\d\d)(?!\d)|FY(\d\d)(?!\d)", re.IGNORECASE)


@dataclass(frozen=True)
class Given:
    """Where a person says that a dataset is.

    Attributes:
        text: A file or an address; `#layer` at its end names a layer, sheet or file inside it.
        option: The option of the command line that gives it, for messages.
        crs: The CRS that the person gives; None: the dataset's own.
        bounds: The market's bounds in degrees, if they are known: of more than these a server is
            not asked.
    """

    text: str
    option: str
    crs: str | None = None
    bounds: Degrees | None = None


def find_file(given: Given) -> tuple[Path, str | None]:
    """Return the file that a person names, and the part of it after a #."""
    path = Path(given.text).expanduser().absolute()
    member = None
    if not path.exists() and "#" in given.text:
        text, _, member = given.text.rpartition("#")
        path = Path(text).expanduser().absolute()
    if path.is_file() or (path.is_dir() and path.suffix.lower() == ".gdb"):
        return path, member
    if path.is_dir():
        raise wrong_option(given, f"{path} is a folder", "name a file in it")
    beside = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, beside, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise wrong_option(given, f"there is no file {path}{hint}", "name a file that is there")


def describe_source(source_id: str, options: dict[str, Any]) -> Source:
    """Return a source that only says how its data are opened."""
    return Source.model_validate(
        {
            "id": source_id,
            "layer": "parcels",
            "title": "",
            "publisher": "",
            "licence": "",
            "attribution": "",
            "redistribute": False,
            "vintage": dt.date(2000, 1, 1),
            "fetch": {"protocol": "file", "crs": "EPSG:4326"} | options,
            "coverage": {"kind": "none"},
        }
    )


def guess_vintage(name: str, otherwise: dt.date, why: str) -> Line:
    """Return the line of the date of the data: the year in the file's name, else another date.

    Args:
        name: The file's name.
        otherwise: The other date.
        why: What that date is.

    Returns:
        The line.
    """
    if (found := _YEAR.search(name)) is not None:
        year = int(found[1] or f"20{found[2]}")
        return Line("vintage", dt.date(year, 1, 1), f"only the year, from the file's name {name}")
    return Line("vintage", otherwise, f"{why}; write the date of the data themselves")


def wrong_option(given: Given, wrong: str, remedy: str = "correct the option") -> ConfigError:
    """Return the error for an option that names what cannot be used.

    Args:
        given: What the option names.
        wrong: What is wrong with it.
        remedy: What to do.

    Returns:
        The error, to be raised.
    """
    return ConfigError(f"reading {given.option}", wrong, remedy)


# What remedies say of a declaration, and what a person does who has given an option.
_REWORDED = (
    (r"if you trust that host, add redirect_hosts = .*, or correct fetch\.url", "give its address"),
    (r"name one of them in fetch\.member", "name one of them after a #, as in OPTION PLACE#NAME"),
    (r"set fetch\.crs (?:in \S+\.toml )?to", "set --crs to"),
    (r"use protocol 'raster'", "give a raster as --elevation or --ambient"),
    (r"use protocol 'file'", "give rows as an option of another layer"),
    (r"as \$\{NAME\} in fetch\.url or fetch\.headers", "as ${NAME} in the address"),
    (r", and correct fetch\.url in \S+\.toml if it has moved", ""),
    (r", or correct \[fetch\] in \S+\.toml", ""),
    (r"; if it is right, remove the source from the market", ""),
    (r";? ?the last good snapshot stays in use", ""),
    (r" \(sources/\w+\.toml\)| (?:in|of) sources/\w+\.toml", ""),
)


def name_option(error: PadfinderError, given: Given) -> PadfinderError:
    """Return an error that speaks of the option instead of a declaration not yet written."""
    remedy = error.remedy
    for pattern, words in _REWORDED:
        remedy = re.sub(pattern, words, remedy)
    remedy = remedy.replace("OPTION PLACE", f"{given.option} PLACE")
    # The rest names the file, which the message itself names too.
    return type(error)(f"reading {given.option}", error.wrong, remedy, fault=error.fault)
