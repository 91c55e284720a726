"""Errors about names: one that nothing has, and an id that is not the name of its file."""

import difflib
from pathlib import PurePath
from typing import Literal

from geo.errors import ConfigError

Kind = Literal["market", "plan", "source"]


def refuse_name(kind: Kind, name: str, known_names: list[str]) -> ConfigError:
    """Return the error for a name that nothing has.

    Args:
        kind: What is looked for.
        name: The name.
        known_names: The names that there are; the error suggests the nearest.

    Returns:
        The error, to be raised.
    """
    near = difflib.get_close_matches(name, known_names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    place = {
        "market": f"put {name}/market.toml into a folder that `markets` in padfinder.toml names",
        "plan": f"put {name}.toml into plans/ in the market's folder",
        "source": f"put {name}.toml into sources/ in the market's folder",
    }[kind]
    return ConfigError(
        f"looking for the {kind} {name!r}",
        f"there is no {kind} of that name",
        f"{hint}use one of {', '.join(known_names)}, or {place}",
    )


def check_id(declared_id: str, name: str, label: str, kind: Kind) -> None:
    """Check that a declaration's `id` is its name.

    Args:
        declared_id: The id.
        name: The name of its file without `.toml`; for a market in a folder, the folder's name.
        label: The path of the file.
        kind: What it declares.

    Raises:
        ConfigError: It is not.
    """
    if declared_id == name:
        return
    if PurePath(label).stem != name:
        wrong = f"id = {declared_id!r} is not the name of its folder"
        remedy = f"rename the folder to {declared_id}, or set id to {name!r}"
    else:
        wrong = f"id = {declared_id!r} is not the name of its file"
        remedy = f"rename the file to {declared_id}.toml, or set the {kind}'s id to {name!r}"
    raise ConfigError(f"reading {label}", wrong, remedy)
