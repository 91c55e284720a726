"""Read the text of a TOML file as a model, and name every fault at once."""

import difflib
import tomllib
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from geo.addresses import show_address
from geo.errors import ConfigError

M = TypeVar("M", bound=BaseModel)


def parse_toml(model: type[M], text: str, where: str) -> M:
    """Read the text of a TOML file as a model.

    Args:
        model: The pydantic model.
        text: The file's text.
        where: The file's name, for the message.

    Returns:
        The model.

    Raises:
        ConfigError: Naming every fault of the file: key, value, and the nearest known key.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"reading {where}", f"not valid TOML: {error}", "mend the line it names"
        ) from error
    return validate_model(model, raw, where)


def validate_model(model: type[M], raw: dict[str, Any], where: str) -> M:
    """Read the parsed contents of a TOML file as a model.

    Args:
        model: The pydantic model.
        raw: The parsed contents.
        where: The file's name, for the message.

    Returns:
        The model.

    Raises:
        ConfigError: Naming every fault of the file: key, value, and the nearest known key.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        faults = "; ".join(_fault(model, dict(one)) for one in error.errors(include_url=False))
        remedy = "correct the key or value named above; `padfinder check` shows every file's faults"
        raise ConfigError(f"reading {where}", faults, remedy) from error


def _fault(model: type[BaseModel], error: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in error["loc"]) or "(whole file)"
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(error["loc"][-1]), _field_names(model), n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        return f"unknown key {key!r}{hint}"
    if error["type"] == "missing":
        return f"key {key!r} is missing"
    # pydantic writes this before the words of the models' own checks.
    words = str(error["msg"]).removeprefix("Value error, ")
    return f"{key}{_show_input(error['input'])}: {words}"


def _show_input(value: Any) -> str:
    """Return a wrong value as text; not a whole table, which may hold an address with a secret."""
    if isinstance(value, dict | list):
        return ""
    return f" = {show_address(value) if isinstance(value, str) and '://' in value else value!r}"


def _field_names(model: type[BaseModel]) -> set[str]:
    """Return every key of this model and of the models inside it."""
    names: set[str] = set()

    def walk(schema: Any) -> None:
        if isinstance(schema, dict):
            names.update(schema.get("properties", {}))
            for value in schema.values():
                walk(value)
        elif isinstance(schema, list):
            for value in schema:
                walk(value)

    walk(model.model_json_schema())
    return names
