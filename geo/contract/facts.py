"""Check a table of sites against the facts that the catalogue declares."""

from collections.abc import Iterable

from geo import catalogue
from geo.errors import ContractError


def check_facts(columns: Iterable[str], table: str, *, published: bool) -> None:
    """Check that every column is declared, and that every required fact is present.

    Facts per load or per fuel may be absent, since a plan names its own loads and fuels.

    Args:
        columns: The table's columns.
        table: The table's name in a message.
        published: True for the ranking: it must have every fact except those of provenance, which
            are added later, and no working column. False for the facts from screening: they may
            have any facts and working columns.

    Raises:
        ContractError: If a column is not declared or a fact is missing; it names every one.
    """
    names = list(columns)
    declared = {fact.name for fact in catalogue.facts_of_table(names)}
    declared |= {"geometry", *catalogue.SHAPE_COLUMNS}
    if not published:
        tags = catalogue.list_load_tags(names)
        working = catalogue.read_working_columns()
        declared |= {name.format(of=tag) for name in working for tag in (*tags, "")}
    unknown = sorted(set(names) - declared)
    missing = [
        fact.name
        for fact in catalogue.read_facts()
        if published and fact.group != "provenance" and fact.per is None and fact.name not in names
    ]
    if unknown or missing:
        parts = [f"columns {unknown} are not declared"] if unknown else []
        parts += [f"facts {missing} are missing"] if missing else []
        raise ContractError(
            f"checking the columns of {table}",
            "; ".join(parts),
            "correct the name, or declare the column in geo/catalogue/facts.toml",
        )
