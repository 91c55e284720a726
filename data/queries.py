"""Read the SQL files of a package by name."""

from functools import cache
from importlib.resources import files


def read_query(package: str, name: str, **parts: str) -> str:
    """Return the SQL of `sql/<name>.sql` in `package`, with each `{part}` filled in.

    A part is a table name, a list of columns or a subquery, always from this program. The
    database binds values to `$value`; they are never written into the text.

    Args:
        package: Name of the package that holds the `sql` folder, such as "data.select".
        name: Name of the file, without its ending.
        parts: Text for each `{part}` in the file.

    Returns:
        One or several SQL statements.

    >>> query = read_query(
    ...     "data.select", "rows_within_reach", table="parcel", reach_m="30.0", cells_from_m="100.0"
    ... )
    >>> "from parcel" in query, "site_piece.geometry, 30.0)" in query
    (True, True)
    """
    return _read_text(package, name).format(**parts)


@cache
def _read_text(package: str, name: str) -> str:
    return files(package).joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
