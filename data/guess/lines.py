"""A declaration as lines that a person reviews, and their text in TOML."""

import datetime as dt
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

REVIEW = "# REVIEW:"
# Keys of the program are written bare, and those of publishers in quotes.
_BARE_KEY = re.compile(r"[a-z][a-z0-9_]*")
_WIDTH = 96


class Line(NamedTuple):
    """One key of a declaration.

    Attributes:
        key: The key, within its table.
        value: Its value: a text, number, date, list or table.
        why: Why it was guessed so; "" for what the data themselves say.
        is_open: Whether it could not be guessed. The line is then a comment, to be completed.
    """

    key: str
    value: Any
    why: str = ""
    is_open: bool = False


class Table(NamedTuple):
    """One table of a declaration.

    Attributes:
        name: Its name, in brackets in the file; "" for the keys at the top.
        lines: Its keys.
    """

    name: str
    lines: tuple[Line, ...]


def write_toml(tables: Iterable[Table], head: str = "") -> str:
    """Return tables as the text of a TOML file; each guess stands below the reason for it.

    Args:
        tables: The tables, in order. Those without a line are left out.
        head: A comment for the top of the file.

    Returns:
        The text.

    >>> print(write_toml([Table("", (Line("id", "a", "the name"),))]), end="")
    # REVIEW: the name
    id = "a"
    """
    parts = ["".join(f"{text}\n" for text in _wrap(head, "# ", "# "))] if head else []
    for table in tables:
        if not table.lines:
            continue
        title = f"[{table.name}]\n" if table.name else ""
        parts.append(title + "".join(map(_write_line, table.lines)))
    return "\n".join(parts)


def _write_line(line: Line) -> str:
    why = "".join(f"{text}\n" for text in _wrap(line.why, f"{REVIEW} ", "#         "))
    mark = "# " if line.is_open else ""
    return f"{why}{mark}{write_key(line.key)} = {write_value(line.value)}\n"


def _wrap(text: str, first: str, further: str) -> list[str]:
    """Return a text broken between words into lines that begin as given; none for no text."""
    lines: list[str] = []
    for word in keep_printable(text).split():
        begin = first if not lines else further
        if lines and len(lines[-1]) + 1 + len(word) <= _WIDTH:
            lines[-1] += f" {word}"
        else:
            lines.append(f"{begin}{word}")
    return lines


def keep_printable(text: str) -> str:
    """Return a text for a comment, with blanks for what TOML allows in no comment."""
    return "".join(mark if mark.isprintable() else " " for mark in text)


def write_key(key: str) -> str:
    """Return a key, in quotes if it needs them.

    >>> write_key("fetch"), write_key("R-1 (a)")
    ('fetch', '"R-1 (a)"')
    """
    return key if _BARE_KEY.fullmatch(key) else write_value(key)


def write_value(value: Any) -> str:
    """Return a value in TOML.

    >>> write_value({"column": "ML", "missing": ["-", 0]})
    '{ column = "ML", missing = ["-", 0] }'
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON escapes as TOML does, except for the delete character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        inner = ", ".join(f"{write_key(key)} = {write_value(one)}" for key, one in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(write_value, value))}]"
    return value.isoformat() if isinstance(value, dt.date) else repr(value)
