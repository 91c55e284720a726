"""What publishers call things: the names of columns, and the words for values and codes."""

import re
from functools import cache
from importlib.resources import files

from pydantic import RootModel

from geo.contract.toml import parse_toml
from geo.model import Frozen

# The length at which a shapefile cuts the names of its columns.
_SHAPEFILE_NAME = 10


class ClassWords(Frozen):
    """The words that say plainly which class a code has.

    Attributes:
        strong: Words that say so by themselves.
        weak: Words that say so where no other class is named.
        receptor: The kind of receptor on such a lot, unless a word names another.
    """

    strong: tuple[str, ...]
    weak: tuple[str, ...] = ()
    receptor: str | None = None


class Words(Frozen):
    """What words mean.

    Attributes:
        values: By column of a layer and by the layer's word: how publishers write it.
        use: The words beside use codes, by class.
        receptor: The words for people who must be protected, by kind of receptor.
        zone: The words beside zoning codes, by class.
    """

    values: dict[str, dict[str, tuple[str, ...]]]
    use: dict[str, ClassWords]
    receptor: dict[str, tuple[str, ...]]
    zone: dict[str, ClassWords]


@cache
def read_names() -> dict[str, dict[str, tuple[str, ...]]]:
    """Return how publishers name the columns of each layer, most telling first."""
    model = RootModel[dict[str, dict[str, tuple[str, ...]]]]
    return parse_toml(model, _text("names.toml"), "data/guess/names.toml").root


@cache
def read_words() -> Words:
    """Return what publishers' words mean."""
    return parse_toml(Words, _text("words.toml"), "data/guess/words.toml")


def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def split_words(text: str) -> str:
    """Return a text as words in lower case with single blanks between them.

    >>> split_words("GAS-STATION"), split_words("maxVoltageKv"), split_words("LOT_SIZE2")
    ('gas station', 'max voltage kv', 'lot size 2')
    """
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])", " ", text)
    return " ".join(re.findall(r"[^\W_]+", apart.lower()))


def fit_name(name: str, pattern: str) -> bool:
    """Return whether a column's name is meant by a name of the catalogue.

    >>> fit_name("USE_DESCRI", "usedescription"), fit_name("MAP_PAR_ID", "mapparid")
    (True, True)
    >>> fit_name("GIS.ZONING.ZONE_CODE", "zonecode"), fit_name("SITE_APN", "*apn")
    (True, True)
    """
    plain = re.sub(r"[\W_]", "", name.rpartition(".")[2].lower())
    if not plain:
        return False
    if "*" in pattern:
        return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), plain) is not None
    is_cut = len(name) == _SHAPEFILE_NAME and pattern.startswith(plain)
    return plain == pattern or is_cut


def has_words(text: str, phrase: str) -> bool:
    """Return whether words stand in a text, both as `split_words` returns them.

    >>> has_words("gas station", "station"), has_words("gasoline", "gas")
    (True, False)
    """
    return f" {phrase} " in f" {text} "
