"""Count the codes of a column, with the words beside them, and propose what plain words mean."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from data.guess.catalogue import ClassWords, has_words, read_words, split_words
from data.texts import text_values


class Code(NamedTuple):
    """A code of a town.

    Attributes:
        code: The code.
        rows: How many rows have it.
        title: The words most often beside it; the code itself if there are none.
        other_titles: How many other texts stand beside it.
    """

    code: str
    rows: int
    title: str
    other_titles: int = 0


class Proposal(NamedTuple):
    """What a code may mean.

    Attributes:
        name: The class; "" if its words do not say it plainly.
        receptor: The kind of receptor on such a lot, if any.
        why: The words that say so, or why nothing is proposed.
    """

    name: str
    receptor: str | None
    why: str


def count_codes(codes: pd.Series, titles: Sequence[pd.Series] = ()) -> tuple[Code, ...]:
    """Return the codes of a column in their order as text, with counts and words.

    Args:
        codes: The codes, one per row.
        titles: Columns of words beside them, in the order in which they are put together.

    Returns:
        The codes. A missing code is none.

    >>> count_codes(pd.Series(["2", "1", "2"]), [pd.Series(["Shop", "House", "Shop"])])[1]
    Code(code='2', rows=2, title='Shop', other_titles=0)
    """
    texts = pd.DataFrame({"code": text_values(codes)})
    words = [text_values(one).fillna("") for one in titles]
    texts["title"] = [
        ", ".join(dict.fromkeys(one for one in row if one))
        for row in zip(*words, strict=True)
    ] if words else ""  # fmt: skip
    counted = []
    for code, group in texts.dropna(subset="code").groupby("code", sort=True)["title"]:
        counts = group[group != ""].value_counts().sort_index().sort_values(
            ascending=False, kind="stable"
        )  # fmt: skip
        title = str(counts.index[0]) if len(counts) else str(code)
        counted.append(Code(str(code), len(group), title, max(len(counts) - 1, 0)))
    return tuple(counted)


def propose_use(title: str) -> Proposal:
    """Propose the class of a use code from the words beside it.

    >>> propose_use("WAREHOUSE")[:2], propose_use("CONDOMINIUM")[:2], propose_use("HAZARD")[:2]
    (('commercial', None), ('residential', 'home'), ('', None))
    """
    words = split_words(title)
    proposed = _propose(words, read_words().use)
    named = [
        kind
        for kind, phrases in read_words().receptor.items()
        if any(has_words(words, phrase) for phrase in phrases)
    ]
    is_vacant = proposed.name == "vacant" or has_words(words, "vacant")
    receptor = None if is_vacant else (named[0] if named else proposed.receptor)
    if not proposed.name and len(named) == 1 and named[0] in _CLASS_OF_RECEPTOR:
        # Words such as "hotel" name who is there, and so the class.
        return Proposal(_CLASS_OF_RECEPTOR[named[0]], named[0], f"{title!r} says who is there")
    return proposed._replace(receptor=receptor if proposed.name else None)


# What is proposed for a use of which only the people there are known.
_CLASS_OF_RECEPTOR = {"hotel": "commercial", "elderly": "residential", "day_care": "residential"}


# Classes that hold whatever else the words name.
_LEADING = ("mixed", "special", "vacant")


def propose_zone(title: str) -> Proposal:
    """Propose the class of a zoning code from the words beside it.

    >>> propose_zone("Residence A-1 District").name, propose_zone("C-2A").name
    ('residential', '')
    """
    proposed = _propose(split_words(title), read_words().zone)
    return proposed._replace(receptor=None)


def _propose(words: str, classes: Mapping[str, ClassWords]) -> Proposal:
    """Return the one class that words name; none if they name several, or none."""
    strong = _find_words(words, {name: one.strong for name, one in classes.items()})
    found = strong or _find_words(words, {name: one.weak for name, one in classes.items()})
    # Some words say that others beside them are of no account: vacant land of the city is exempt.
    leading = [name for name in _LEADING if name in found and name in classes]
    if "vacant" in found and "exempt" in found:
        leading = ["exempt"]
    if leading:
        found = {leading[0]: found[leading[0]]}
    if not found:
        return Proposal("", None, "its words do not say plainly what it is")
    if len(found) > 1:
        listed = ", ".join(f"{word!r} ({name})" for name, word in found.items())
        return Proposal("", None, f"its words name several classes: {listed}")
    ((name, word),) = found.items()
    return Proposal(name, classes[name].receptor, f"proposed because of {word!r}")


def _find_words(words: str, phrases: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the longest phrase of each class that stands in the words."""
    found = {}
    for name, listed in phrases.items():
        present = [phrase for phrase in listed if has_words(words, phrase)]
        if present:
            found[name] = max(present, key=len)
    return found
