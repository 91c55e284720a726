"""Say what a plan keeps clear of or protects, but is mapped nowhere in the market."""

from collections.abc import Iterable

from geo import catalogue
from geo.criteria.pad.ground import find_unmapped_exclusions
from geo.model import Plan, Screening


def list_unmapped(screening: Screening, plan: Plan) -> list[str]:
    """List everything that the plan needs a map of and the market has none of, for readers.

    A kind of ground or of receptor counts as mapped if some source says where it is complete.
    """
    ground = title_kinds(find_unmapped_exclusions(screening, plan))
    heights = ["ground heights"] if is_slope_unmapped(screening, plan) else []
    return [*ground, *heights, *title_kinds(screening.unmapped.get("receptors", ()))]


def write_unmapped_notes(screening: Screening, plan: Plan) -> list[str]:
    """Write the notes at the top of a list on what is mapped nowhere in the market."""
    notes = []
    ground = title_kinds(find_unmapped_exclusions(screening, plan))
    if ground:
        notes.append(f"No map here shows {join_words(ground, 'or')}, so none could be avoided.")
    if is_slope_unmapped(screening, plan):
        notes.append("No ground heights are mapped here, so steep ground could not be avoided.")
    receptors = title_kinds(screening.unmapped.get("receptors", ()))
    if receptors:
        notes.append(
            f"No complete map of {join_words(receptors)} is available here, so noise limits may "
            "apply at more places than were checked."
        )
    return notes


def is_slope_unmapped(screening: Screening, plan: Plan) -> bool:
    """Return whether the plan keeps off steep ground, but the market has no ground heights."""
    return plan.pad.slope_most is not None and "elevation" not in screening.rasters


def title_kinds(kinds: Iterable[str]) -> list[str]:
    """Return the reader's words for kinds of ground or receptors, in the plural."""
    words = catalogue.read_code_words()["mapped_kind"]
    return [words[kind].title for kind in kinds]


def join_words(words: list[str], last: str = "and") -> str:
    """Return words as a list in a sentence.

    >>> join_words(["schools", "parks", "hotels"]), join_words(["schools", "parks"], "or")
    ('schools, parks and hotels', 'schools or parks')
    """
    return f" {last} ".join([*([", ".join(words[:-1])] if words[1:] else []), *words[-1:]])
