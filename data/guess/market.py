"""Write the other files of a market from what was seen of its data."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from data.guess.codes import Code, Proposal, propose_use, propose_zone
from data.guess.declare import SCHEME
from data.guess.lines import REVIEW, Line, Table, keep_printable, write_toml, write_value
from data.guess.place import PlaceGuess
from data.texts import text_values
from geo import catalogue

_LAND_USE_HEAD = (
    "Every use and zoning code that was found, with the words beside it. Write the class of each: "
    "an empty class leaves the code unclassified, so that zoning alone decides about the parcel, "
    "and someone may live there. docs/new_market.md explains the classes."
)
_NOTE = "How the data of this market are read was guessed, and not yet reviewed by a person."
_USE_CLASSES = "residential, mixed, commercial, industrial, exempt or vacant"
_ZONE_CLASSES = "residential, mixed, commercial, industrial, open_space or special"
# A column with so large a share of the codes is the list's column of codes.
_WORDS_MIN = 0.5


def write_market(
    name: str, title: str, place: PlaceGuess, bounds: Line, sources: Sequence[str]
) -> Table:
    """Return the lines of a market's own file.

    Args:
        name: The market's id.
        title: Its title.
        place: Where it is.
        bounds: The line of its bounds.
        sources: The ids of its sources.

    Returns:
        The table at the top of the file.
    """
    lines = [
        Line("id", name),
        Line("title", title, "the name for readers"),
        Line("crs", place.crs, place.why_crs),
        Line("time_zone", place.time_zone, place.why_time_zone),
        Line("jurisdiction", name),
        Line("plan", "default", "the plan that every market can use; docs/new_market.md says more"),
    ]
    rules = catalogue.read_noise_rules().rule
    rule = (place.state or "").lower().replace(" ", "_")
    if rule in rules:
        why = f"the noise rule of {place.state}; a town may have its own"
        lines.append(Line("noise_rule", rule, why))
    else:
        why = f"no rule of the place is known: one of {', '.join(rules)}, or none"
        lines.append(Line("noise_rule", "", why, is_open=True))
    lines += [Line("sources", tuple(sources)), bounds]
    why = "every map of this market says so. Delete it after the review"
    lines.append(Line("note", _NOTE, why))
    return Table("", tuple(lines))


def write_land_use(name: str, uses: Sequence[Code], zones: Sequence[Code]) -> str:
    """Return the text of a land-use table with every code that was found.

    Args:
        name: The market's id, which is its jurisdiction too.
        uses: The use codes.
        zones: The zoning codes.

    Returns:
        The text in TOML. A class stands only where the words beside a code say it plainly.
    """
    head = Table(
        "",
        (
            Line("jurisdiction", name),
            Line("scheme", SCHEME),
            Line("source", "not stated", "where do the meanings of the codes come from?"),
        ),
    )
    text = write_toml([head], _LAND_USE_HEAD)
    for title, codes, propose, classes in (
        ("use", uses, propose_use, _USE_CLASSES),
        ("zone", zones, propose_zone, _ZONE_CLASSES),
    ):
        text += f"\n# Classes: {classes}.\n[{title}]\n"
        text += "".join(_write_code(code, propose(code.title)) for code in codes)
    return text


def _write_code(code: Code, proposal: Proposal) -> str:
    value: dict[str, Any] = {"title": code.title, "class": proposal.name}
    if proposal.receptor:
        value["receptor"] = proposal.receptor
    rows = f"{code.rows:,} row{'' if code.rows == 1 else 's'}"
    more = f", {code.other_titles} other descriptions" if code.other_titles else ""
    why = " ".join(keep_printable(f"{rows}{more}; {proposal.why}").split())
    return f"{write_value(code.code)} = {write_value(value)}   {REVIEW} {why}\n"


def add_words(codes: Sequence[Code], table: pd.DataFrame) -> tuple[tuple[Code, ...], int]:
    """Return codes with the words that a list of codes has beside them.

    Args:
        codes: The codes.
        table: The list, as text: one column holds the codes, the others words.

    Returns:
        The codes, and how many of them the list knows: 0 if none of its columns holds them.
    """
    wanted = {one.code for one in codes}
    columns = {str(name): text_values(pd.Series(values)) for name, values in table.items()}
    best = max(columns, key=lambda name: len(wanted & set(columns[name].dropna())))
    listed = columns[best]
    if len(wanted & set(listed.dropna())) < _WORDS_MIN * len(wanted):
        return tuple(codes), 0
    words = _join_words(listed, [texts for name, texts in columns.items() if name != best])
    named = tuple(one._replace(title=words.get(one.code, one.title)) for one in codes)
    return named, len(wanted & set(words))


def _join_words(listed: pd.Series, columns: Sequence[pd.Series]) -> Mapping[str, str]:
    """Return the words in the row of each code; of a code that is listed twice, the first."""
    others = [texts.fillna("") for texts in columns]
    words: dict[str, str] = {}
    for code, *texts in zip(listed, *others, strict=True):
        if isinstance(code, str) and code not in words:
            told = ", ".join(dict.fromkeys(text for text in texts if text))
            if told:
                words[code] = told
    return words
