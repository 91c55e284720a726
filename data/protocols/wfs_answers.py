"""Read the answers of a WFS: its capabilities, the columns of a feature type, a page's outline."""

import re
import xml.etree.ElementTree as ET
import xml.parsers.expat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from data.protocols.bounds import Bounds

# XML Schema's types of numbers and truth values; everything else is text.
_WHOLE = {
    "int", "integer", "long", "short", "byte", "nonNegativeInteger", "positiveInteger",
    "negativeInteger", "nonPositiveInteger", "unsignedInt", "unsignedLong", "unsignedShort",
    "unsignedByte",
}  # fmt: skip
_DECIMAL = {"decimal", "double", "float"}
# What holds a feature in a page.
_HOLDERS = {"member", "featureMember", "featureMembers"}


class FeatureType(NamedTuple):
    """A feature type as the capabilities describe it.

    Attributes:
        name: Its name, with its prefix.
        title: Its title.
        crs: The names of the CRS that the server offers for it, its own first.
        extent: West, south, east and north in degrees; None if the server does not say.
    """

    name: str
    title: str
    crs: tuple[str, ...]
    extent: Bounds | None


class Capabilities(NamedTuple):
    """What a server says of itself.

    Attributes:
        version: The version of the answer.
        types: The feature types.
        rows_most: The most features that it gives at once; None if it does not say.
        has_pages: Whether it gives pages of an answer; None if it does not say.
        has_sorting: Whether it sorts; None if it does not say.
    """

    version: str
    types: tuple[FeatureType, ...]
    rows_most: int | None
    has_pages: bool | None
    has_sorting: bool | None


@dataclass
class Outline:
    """What a page says of itself, found while it is checked that it is whole.

    Attributes:
        root: The name of its outermost element, without prefix.
        attributes: The attributes of that element.
        features: How many features it holds.
        crs: The first name of a CRS in it.
        text: The first words of an error report.
    """

    root: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    features: int = 0
    crs: str = ""
    text: str = ""

    @property
    def matched(self) -> int | None:
        """Return how many features there are in all pages; None if it is not said."""
        for name in ("numberMatched", "numberOfFeatures"):
            text = self.attributes.get(name, "")
            if text.isascii() and text.isdigit():
                return int(text)
        return None


def read_capabilities(body: bytes) -> Capabilities:
    """Return what a GetCapabilities answer says.

    Raises:
        ValueError: It is not whole XML, or not the capabilities of a WFS.
    """
    try:
        root = ET.fromstring(body)  # noqa: S314 (expat refuses entities that grow)
    except ET.ParseError as error:
        raise ValueError(str(error)) from error
    if _local(root.tag) not in {"WFS_Capabilities", "Capabilities"}:
        raise ValueError(f"its outermost element is {_local(root.tag)[:40]}")
    constraints = {
        element.get("name", ""): _constraint_text(element)
        for element in root.iter()
        if _local(element.tag) == "Constraint"
    }
    limit = constraints.get("CountDefault") or constraints.get("DefaultMaxFeatures") or ""
    return Capabilities(
        version=root.get("version", ""),
        types=tuple(_read_types(root)),
        rows_most=int(limit) if limit.isdigit() and int(limit) > 0 else None,
        has_pages=_read_truth(constraints.get("ImplementsResultPaging")),
        has_sorting=_read_truth(constraints.get("ImplementsSorting")),
    )


def read_schema(body: bytes, name: str) -> dict[str, str]:
    """Return the columns of a feature type from a DescribeFeatureType answer.

    Args:
        body: The answer.
        name: The name of the feature type.

    Returns:
        Each column's XML Schema type without prefix, such as "string", in the order of the answer,
        without the columns of shapes. Empty if the answer is not understood.
    """
    try:
        root = ET.fromstring(body)  # noqa: S314 (expat refuses entities that grow)
    except ET.ParseError:
        return {}
    local = name.rpartition(":")[2]
    kind = next(
        (
            element.get("type", "").rpartition(":")[2]
            for element in root
            if _local(element.tag) == "element" and element.get("name") == local
        ),
        "",
    )
    for element in root:
        if _local(element.tag) == "complexType" and kind and element.get("name") == kind:
            return dict(_read_elements(element))
    return {}


def scan_page(body: bytes) -> Outline:
    """Check that a page is whole XML, and return what it says of itself.

    Raises:
        ValueError: It is cut off, or not XML.
    """
    outline, path = Outline(), list[str]()

    def enter(tag: str, attributes: Mapping[str, str]) -> None:
        name = tag.rpartition(":")[2]
        if not path:
            outline.root, outline.attributes = name, dict(attributes)
        elif path[-1] in _HOLDERS and len(path) == 2:
            outline.features += 1
        if not outline.crs:
            outline.crs = attributes.get("srsName", "")
        path.append(name)

    def leave(_: str) -> None:
        path.pop()

    def keep_text(text: str) -> None:
        if path and path[-1] in {"ExceptionText", "ServiceException"} and len(outline.text) < 200:
            outline.text += text

    parser = xml.parsers.expat.ParserCreate()
    parser.StartElementHandler = enter
    parser.EndElementHandler = leave
    parser.CharacterDataHandler = keep_text
    try:
        parser.Parse(body, True)
    except xml.parsers.expat.ExpatError as error:
        raise ValueError(str(error)) from error
    return outline


def kind_of(type_name: str) -> str:
    """Return what the values of an XML Schema type are: int64, double, bool or string.

    >>> kind_of("integer"), kind_of("TimeInstantType")
    ('int64', 'string')
    """
    if type_name in _WHOLE:
        return "int64"
    if type_name in _DECIMAL:
        return "double"
    return "bool" if type_name == "boolean" else "string"


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _constraint_text(element: ET.Element) -> str:
    """Return the default value of a constraint, or its only one."""
    texts = {_local(child.tag): (child.text or "").strip() for child in element.iter()}
    return texts.get("DefaultValue") or texts.get("Value") or ""


def _read_truth(text: str | None) -> bool | None:
    """Return a truth value; a list of orders (ASC, DESC) means that there is some."""
    return None if not text else text.upper() != "FALSE"


def _read_types(root: ET.Element) -> Iterator[FeatureType]:
    for element in root.iter():
        if _local(element.tag) != "FeatureType":
            continue
        crs: list[str] = []
        texts: dict[str, str] = {}
        corners: dict[str, str] = {}
        for child in element.iter():
            name, text = _local(child.tag), (child.text or "").strip()
            if name in {"DefaultCRS", "OtherCRS", "DefaultSRS", "OtherSRS", "SRS"}:
                crs.append(text)
            elif name in {"LowerCorner", "UpperCorner"}:
                corners[name] = text
            else:
                texts.setdefault(name, text)
        yield FeatureType(
            texts.get("Name", ""), texts.get("Title", ""), tuple(crs), _read_extent(corners)
        )


def _read_extent(corners: Mapping[str, str]) -> Bounds | None:
    try:
        west, south = (float(text) for text in corners["LowerCorner"].split()[:2])
        east, north = (float(text) for text in corners["UpperCorner"].split()[:2])
    except (KeyError, ValueError):
        return None
    return west, south, east, north


def _read_elements(complex_type: ET.Element) -> Iterator[tuple[str, str]]:
    """Yield the name and the type of each column that is no shape."""
    for element in complex_type.iter():
        if _local(element.tag) != "element" or not element.get("name"):
            continue
        declared = element.get("type", "")
        if not declared:
            base = next((one for one in element.iter() if _local(one.tag) == "restriction"), None)
            declared = "string" if base is None else base.get("base", "string")
        is_gml = declared.startswith("gml:")
        kind = declared.rpartition(":")[2]
        if is_gml and re.search(r"(Property|Geometry)\w*Type$", kind):
            continue
        yield element.get("name", ""), kind
