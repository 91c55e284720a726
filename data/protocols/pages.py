"""Recognize a page of a server's answer that was saved as if it were the whole layer."""

from collections.abc import Mapping
from typing import Any

from geo.errors import SourceChanged

# How servers write the number of all features (OGC API Features and WFS 2.0; older GeoServer).
_ALL_FEATURES = ("numberMatched", "totalFeatures")


def refuse_page(document: Mapping[str, Any], source_id: str, shown: str) -> None:
    """Raise SourceChanged if a GeoJSON or Esri JSON document says that there are more features.

    Args:
        document: The whole document.
        source_id: The source that names it, for messages.
        shown: The name of the file in messages.
    """
    features = document.get("features")
    count = len(features) if isinstance(features, list) else 0
    inner = document.get("properties")
    places = [document, inner if isinstance(inner, dict) else {}]
    if any(place.get("exceededTransferLimit") in {True, "true"} for place in places):
        raise _refuse(f"{count:,} features", "exceededTransferLimit", source_id, shown)
    links = document.get("links")
    has_next = isinstance(links, list) and any(
        isinstance(link, dict) and link.get("rel") == "next" for link in links
    )
    refuse_part(document, count, source_id, shown, has_next=has_next)


def refuse_part(
    root: Mapping[str, Any], count: int | None, source_id: str, shown: str, *, has_next: bool
) -> None:
    """Raise SourceChanged if the number of all features is higher than that of the features here.

    Args:
        root: The outermost object of the document, or the attributes of its outermost element.
        count: How many features it holds; None: as many as `numberReturned` says.
        source_id: The source, for messages.
        shown: The name of the file in messages.
        has_next: Whether it names a next page. Some servers do so after the last page too, so this
            counts only where they do not say how many features there are.
    """
    numbers = {name: _whole(root.get(name)) for name in (*_ALL_FEATURES, "numberReturned")}
    held = numbers["numberReturned"] if count is None else count
    known = [number for name in _ALL_FEATURES if (number := numbers[name]) is not None]
    if known and held is not None and max(known) > held:
        raise _refuse(f"{held:,} features", f"{max(known):,} in all", source_id, shown)
    if has_next and not known:
        here = "some features" if held is None else f"{held:,} features"
        raise _refuse(here, "a link to the next page", source_id, shown)


def _whole(value: object) -> int | None:
    return int(str(value)) if str(value).isdigit() else None


def _refuse(here: str, said: str, source_id: str, shown: str) -> SourceChanged:
    return SourceChanged(
        f"reading {shown} for source {source_id!r}",
        f"{shown} is one page of a server's answer: {here}, and the server says that there are "
        f"more ({said})",
        "fetch every page, or export the whole layer",
    )
