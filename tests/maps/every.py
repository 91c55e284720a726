"""Every fact that a ranking holds, with the loads and the fuels spelt out."""

from geo.catalogue import facts, facts_in, fuels

LOADS = ("200_kw", "1000_kw", "3000_kw")
FACTS = facts_in(
    fact.name.format(of=of)
    for fact in facts()
    for of in {"load": LOADS, "fuel": tuple(fuels())}.get(str(fact.per), ("",))
)
