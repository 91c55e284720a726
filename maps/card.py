"""The card of one site: every fact in the reader's words, in groups.

The map's cards and `padfinder explain` print the same card. A missing fact is "not known", never 0.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files

import numpy as np
import pandas as pd

from geo.catalogue import facts_of_table, read_code_words, read_facts, read_fuels
from geo.contract.toml import parse_toml
from geo.contract.units import convert_units
from geo.errors import ContractError
from geo.model import Fact, Frozen
from geo.ranking.sentences import format_area

NOT_KNOWN = "not known"
NOT_ENGINEERING = "Screening is not engineering."
NOT_SCREENED = (
    "an air permit for continuous engines",
    "zoning permission for the use",
    "interconnection and gas-utility consent",
    "whether a gas main has capacity to spare, which public data cannot show",
    "the lease",
)
# Facts whose values are codes: an underscore in a code is shown as a space.
CODE_FACTS = frozenset(
    {
        "verdict",
        "gap_class",
        "binding",
        "runner_up",
        "fuel",
        "fuel_ladder",
        "lift_lever",
        "use_class",
        "zone_class",
        "receptor_class",
        "grid_evidence",
        "fuel_evidence",
        "pad_evidence",
        "noise_evidence",
        "access",
    }
)
WHOLE_FEET = 20.0
# The load in the name of a fact per load, such as margin_at_1000_kw_db.
LOAD_IN_NAME = re.compile(r"_\d+(?:\.\d+)?_kw")
# Units that differ between rows, and the fact that gives each row's unit.
UNIT_FACTS = {"fuel unit": "fuel_unit", "fuel unit stored": "storage_unit"}
# Shown instead of the facts about a pad or a receptor if there is none.
NO_PAD, NOBODY = "no pad placed", "nobody within reach"
PAD_FACTS = (
    "pad_rows",
    "pad_columns",
    "pad_length_m",
    "pad_width_m",
    "pad_bearing_deg",
    "line_distance_m",
    "building_distance_m",
    "access",
)
RECEPTOR_FACTS = (
    "level_dba",
    "limit_dba",
    "governs",
    "level_at_1m_dba",
    "wall_gain_db",
    "noise_slack_db",
    "noise_margin_plan_db",
    "receptor_class",
    "receptor_name",
    "receptor_id",
    "receptor_distance_m",
    "receptor_direction",
)


class CardWords(Frozen):
    """Everything in words.toml.

    Attributes:
        absent: The words for a missing value of a fact, if they are not "not known".
        groups: The title of each group of facts.
        evidence: The fact that says how a group's facts are known.
        layers: The layers that a group's facts come from.
    """

    absent: dict[str, str]
    groups: dict[str, str]
    evidence: dict[str, str]
    layers: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class CardRow:
    """One fact on a card: its title for readers, its value with the unit, and its meaning."""

    name: str
    title: str
    text: str
    known: bool
    note: str


@dataclass(frozen=True)
class CardGroup:
    """Facts that belong together, and how they are known (None if the group has no evidence)."""

    id: str
    title: str
    evidence: str | None
    rows: tuple[CardRow, ...]


@cache
def read_card_words() -> CardWords:
    """Return the words of a card. Raises ConfigError, which lists every error in words.toml."""
    text = files(__package__).joinpath("words.toml").read_text(encoding="utf-8")
    return parse_toml(CardWords, text, "maps/words.toml")


def require_facts(columns: Sequence[str]) -> None:
    """Check that a ranking has every fact; those of provenance may be added later.

    Raises:
        ContractError: A fact is missing. The message names every missing fact.
    """
    present = set(columns)
    missing = [
        fact.name
        for fact in read_facts()
        if fact.group != "provenance" and not fact.per and fact.name not in present
    ]
    if missing:
        raise ContractError(
            "reading the ranking",
            f"no column for the facts {', '.join(missing)} of geo/catalogue/facts.toml",
            "have geo.ranking.rank.rank_sites write them (NaN or None where not known)",
        )


def format_facts(ranking: pd.DataFrame) -> dict[str, list[str | None]]:
    """Return each fact's text per row with its unit, in catalogue order; None if not known.

    Lengths and areas are in feet, with meters beside them. Facts about a pad or its most affected
    neighbor say so if there is none. Raises ContractError if a fact has no column.
    """
    require_facts(list(ranking.columns))
    texts = {fact.name: _texts(fact, ranking) for fact in facts_of_table(ranking.columns)}
    unplaced = ranking["pad_length_m"].isna()
    everyone = ranking["noise_evidence"] == "receptors"
    alone = ~unplaced & everyone & ranking["receptor_class"].isna()
    for rows, names, said in (
        (unplaced, (*PAD_FACTS, *RECEPTOR_FACTS), NO_PAD),
        (alone, (*RECEPTOR_FACTS, "level_next_dba", "quiet_side_db"), NOBODY),
    ):
        for name in names:
            filled = zip(texts[name], rows, strict=True)
            texts[name] = [said if one is None and row else one for one, row in filled]
    return texts


def describe_missing(name: str) -> str:
    """Return the reader's words for a missing value of a fact.

    >>> describe_missing("load_headroom_kw")
    'not known'
    """
    absent = read_card_words().absent
    return absent.get(name) or absent.get(LOAD_IN_NAME.sub("_{of}", name), NOT_KNOWN)


def make_card(row: pd.Series) -> tuple[CardGroup, ...]:
    """Return the groups of one site's card; `row` is one row of a ranking.

    Raises ContractError if a fact has no column.
    """
    texts = {name: values[0] for name, values in format_facts(_one(row)).items()}
    groups = read_card_words().groups
    made = []
    for key, title in groups.items():
        rows = tuple(
            _row(fact, texts[fact.name]) for fact in facts_of_table(texts) if fact.group == key
        )
        source = read_card_words().evidence.get(key)
        known = None if source is None else texts[source] or describe_missing(source)
        if rows:
            made.append(CardGroup(key, title, known, rows))
    return tuple(made)


def format_card_text(row: pd.Series) -> str:
    """Return one site's card as plain text, for `padfinder explain`."""
    groups = make_card(row)
    value = {one.name: one.text for group in groups for one in group.rows}
    place = ", ".join(value[name] for name in ("address", "city") if value[name] != NOT_KNOWN)
    lines = [
        f"{place or 'Address not known'} ({value['site_id']})",
        f"Rank {value['rank']} · call: {value['call']} · score {value['score']}",
        "",
        value["sentence"],
    ]
    width = max(len(one.title) for group in groups for one in group.rows)
    for group in groups:
        lines += ["", group.title + (f" (known from: {group.evidence})" if group.evidence else "")]
        lines += [f"  {one.title:<{width}}  {one.text}" for one in group.rows]
    lines += ["", f"{NOT_ENGINEERING} Not screened: {'; '.join(NOT_SCREENED)}."]
    return "\n".join(_one_line(line) for line in lines) + "\n"


def _one(row: pd.Series) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series([value]) for name, value in row.items()})


def _one_line(line: str) -> str:
    # A source's text may contain a line break or an escape code, which must not act on a terminal.
    return "".join(char if char.isprintable() else " " for char in line)


def _row(fact: Fact, value: str | None) -> CardRow:
    said = describe_missing(fact.name) if value is None else value
    return CardRow(fact.name, fact.title, said, value is not None, fact.note)


def _drop_not_known(text: str) -> str | None:
    return None if text == NOT_KNOWN else text


def _texts(fact: Fact, ranking: pd.DataFrame) -> list[str | None]:
    values = ranking[fact.name]
    known = values.notna().to_numpy()
    if fact.decimals is None:
        format_value = _text_formatter(fact.name)
        return [
            _drop_not_known(format_value(v)) if k else None
            for v, k in zip(values, known, strict=True)
        ]
    decimals = fact.decimals if fact.shown is None else fact.shown
    numbers = pd.to_numeric(values).to_numpy(dtype=float, na_value=np.nan)
    known = known & np.isfinite(numbers)
    # Adding 0 changes a rounded -0.0 to 0.0.
    rounded = np.round(np.where(known, numbers, 0.0), decimals) + 0.0
    if fact.unit in UNIT_FACTS:
        named = ranking[UNIT_FACTS[fact.unit]]
        unit = named.where(named.notna(), "").astype(str)
        both = zip(rounded.tolist(), unit, known, strict=True)
        return [f"{v:,.{decimals}f} {u}".rstrip() if k else None for v, u, k in both]
    form = _form(fact.unit, decimals)
    return [form(v) if k else None for v, k in zip(rounded.tolist(), known, strict=True)]


def _form(unit: str | None, decimals: int) -> Callable[[float], str]:
    """Return the function that formats a number with its unit; feet come before meters."""

    def feet(value: float) -> str:
        foot = convert_units(value, "m", "ft")
        small = abs(foot) < WHOLE_FEET
        return f"{foot:,.{1 if small else 0}f} ft ({value:,.{decimals}f} m)"

    def area(value: float) -> str:
        return f"{format_area(value)} ({value:,.0f} m²)"

    def ground_pressure(value: float) -> str:
        per_sq_ft = convert_units(value, "kg", "lb") * convert_units(1.0, "ft2", "m2")
        return f"{per_sq_ft:,.0f} lb per sq ft ({value:,.{decimals}f} kg/m²)"

    def plain(value: float) -> str:
        said = f"{value:,.{decimals}f}"
        return said.rstrip("0").rstrip(".") if "." in said else said

    special: dict[str | None, Callable[[float], str]] = {
        "m": feet,
        "m2": area,
        "kg/m2": ground_pressure,
        "share": lambda value: f"{100 * value:.{max(decimals - 2, 0)}f} %",
        "deg": lambda value: f"{value:.{decimals}f}°",
        "in": lambda value: f"{plain(value)} in",
        "generators": lambda value: f"{value:,.0f} generator{'' if value == 1 else 's'}",
        None: plain,
    }
    return special.get(unit, lambda value: f"{value:,.{decimals}f} {unit}")


def _text_formatter(name: str) -> Callable[[object], str]:
    """Return the function that formats a fact's text, truth value or date for readers."""
    words = read_code_words()
    titles: Mapping[str, str] = {}
    if name == "fuel" or name.startswith("fuel_at_"):
        titles = {fuel.id: fuel.title for fuel in read_fuels().values()}
    elif (table := words.get(_code_table(name))) is not None:
        titles = {code: entry.title for code, entry in table.items()}

    def format_value(value: object) -> str:
        if isinstance(value, bool | np.bool_):
            return "yes" if value else "no"
        if isinstance(value, date | np.datetime64):
            return f"{pd.Timestamp(value):%Y-%m-%d}"
        text = str(value)
        if name in {"binding", "runner_up"}:
            parts = re.split(r"\s*(?:\+|,|\band\b)\s*", text)
            return " and ".join(titles.get(part, part) for part in parts)
        if name in CODE_FACTS or titles:
            text = titles.get(text, NOT_KNOWN if text == "unknown" else text.replace("_", " "))
        return text

    return format_value


def _code_table(name: str) -> str:
    """Return the name of the table in geo/catalogue/evidence.toml with words for a fact's codes."""
    if name.startswith("gap_at_"):
        return "gap_class"
    if name.startswith("covers_at_"):
        return "covers_gap"
    if name.startswith("evidence_of_"):
        return "fuel_evidence"
    if name.startswith("access_at_"):
        return "access"
    shared = {
        "second_evidence": "grid_evidence",
        "second_reads": "headroom_reads",
        "runner_up": "binding",
        "next_receptor_class": "receptor_class",
    }
    return shared.get(name, name)
