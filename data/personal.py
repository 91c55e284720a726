"""Tell columns that name people from others: what they hold is never quoted in notes and errors."""

import re

# Names that assessors and portals give to columns about owners and how to reach them.
_PERSONAL = re.compile(
    r"(?<!t)own(er|_?na?me?|_?add?r)|taxpayer|mail|grant(or|ee)|occupant|tenant|contact|phone",
    re.IGNORECASE,
)


def is_personal(column: str | None) -> bool:
    """Return whether a column's name says that it names people.

    >>> [is_personal(name) for name in ("OWNER1", "OwnName", "Mail_Addr1", "USE_CODE", "TOWN_NAME")]
    [True, True, True, False, False]
    """
    return column is not None and _PERSONAL.search(column) is not None
