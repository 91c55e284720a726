"""Every fact of a ranking, with the loads and the fuels written out."""

from geo.catalogue import facts_of_table, read_facts, read_fuels

LOADS = ("200_kw", "1000_kw", "3000_kw")
FACTS = facts_of_table(
    fact.name.format(of=of, kw=of.removesuffix("_kw"))
    for fact in read_facts()
    for of in {"load": LOADS, "fuel": tuple(read_fuels())}.get(str(fact.per), ("",))
)
