"""Time and money on each row: the grid's own way against generators on the pad.

Bands of the plan's estimates, each with its source and age. They compare ways; no offer is made.
"""

import numpy as np
import pandas as pd

from geo.equipment.generator import BTU_PER_KWH
from geo.model import Economics, Estimate, Fuel, Generator, Plan

ENDS = ("lo", "hi")
BTU_PER_MMBTU = 1e6


def estimate_costs(
    facts: pd.DataFrame, generator: Generator, fuels: list[Fuel], plan: Plan
) -> pd.DataFrame:
    """Return the bands of each row: years and dollars of an upgrade, weeks and dollars of a pad.

    Reads shortfall_lo_kw, shortfall_hi_kw, power_factor, grid_evidence, grid_utility,
    grid_distance_m, placed_n, needed_lo, needed_hi, machine_kw, fuel and service_line_m. Both low
    ends are for the least gap, both high ends for the greatest. A line from the substation is
    counted at the high end where only the substation is known. NaN where what it rests on is not
    known, and of upgrade and generators where surely nothing is short.

    Worked: 950 kW short at power factor 0.95 is 1000 kVA; connection 400 000 and 51 dollars a kVA
    make 451 000 at the least. Five generators of 200 kW at 1000 dollars a kW: 1 000 000.
    """
    told = plan.economics
    found = pd.DataFrame(index=facts.index)
    found["upgrade_years_lo"], found["upgrade_years_hi"], found["upgrade_years_source"] = _years(
        facts["grid_utility"], told
    )
    found["pad_weeks_lo"], found["pad_weeks_hi"] = told.pad_weeks.lo, told.pad_weeks.hi
    factor = facts["power_factor"].fillna(plan.grid.power_factor)
    far = facts["grid_evidence"].isin(["substation", "unpublished", "feeders of substation"])
    near = facts["grid_evidence"].isin(["service area", "feeder", "grid cell"])
    line_m = facts["grid_distance_m"].where(far, np.where(near, 0.0, np.nan))
    line_usd = {"lo": 0.0, "hi": line_m * told.line_usd_per_m.hi}
    # Where surely nothing is short there is nothing to compare.
    lacks = facts["shortfall_hi_kw"] > 0
    for end in ENDS:
        short = facts[f"shortfall_{end}_kw"]
        usd = (
            getattr(told.connection_usd, end)
            + short / factor * getattr(told.upgrade_usd_per_kva, end)
            + line_usd[end]
        )
        found[f"upgrade_usd_{end}"] = usd.where(short > 0, 0.0).where(lacks)
        # The generators that close what they can of the gap.
        count = facts["placed_n"].clip(upper=facts[f"needed_{end}"])
        found[f"costed_n_{end}"] = count.where(lacks)
        closed = ((count - plan.spares).clip(lower=0) * facts["machine_kw"]).clip(upper=short)
        found[f"closed_{end}_kw"] = closed.where(lacks)
        each = generator.power_kw * getattr(told.generator_usd_per_kw, end)
        found[f"generators_usd_{end}"] = found[f"costed_n_{end}"] * each
        per_m = getattr(told.service_line_usd_per_m, end)
        found[f"service_line_usd_{end}"] = facts["service_line_m"] * per_m
        of_fuel = fuel_cost_usd_per_kwh(generator, fuels, told, end)
        found[f"energy_usd_per_kwh_{end}"] = facts["fuel"].map(of_fuel).astype(float)
    for name in ("upgrade_years_lo", "upgrade_years_hi"):
        found[name] = found[name].where(lacks)
    return found


def fuel_cost_usd_per_kwh(
    generator: Generator, fuels: list[Fuel], told: Economics, end: str
) -> dict[str, float]:
    """Return what the fuel of a kilowatt-hour costs, by fuel that the plan prices.

    Worked: 33 % of the higher heating value is 10 340 Btu a kWh; at 10 dollars a million Btu,
    0.103 dollars.
    """
    costs = {}
    for one in fuels:
        price = told.fuel_usd_per_mmbtu.get(one.id)
        if price is None:
            continue
        basis = 1.0 if generator.efficiency_basis == "HHV" else one.hhv_btu / one.lhv_btu
        btu = BTU_PER_KWH / generator.efficiency * basis
        costs[one.id] = btu / BTU_PER_MMBTU * float(getattr(price, end))
    return costs


def describe_estimates(plan: Plan, fuels: list[Fuel]) -> list[str]:
    """List the plan's estimates for the reader, each with its source and age."""
    known = plan.economics
    named: list[tuple[str, Estimate, str]] = [
        ("A grid upgrade takes", known.upgrade_years, "years"),
        *((f"... by {name}", one, "years") for name, one in sorted(known.upgrade_years_of.items())),
        ("A pad takes", known.pad_weeks, "weeks"),
        ("New grid capacity costs", known.upgrade_usd_per_kva, "dollars a kVA"),
        ("A connection costs", known.connection_usd, "dollars"),
        ("A new line to the substation costs", known.line_usd_per_m, "dollars a metre"),
        ("A generator costs", known.generator_usd_per_kw, "dollars a kW"),
        ("A service line costs", known.service_line_usd_per_m, "dollars a metre"),
        *(
            (f"{one.title.capitalize()} costs", price, "dollars a million Btu (HHV)")
            for one in fuels
            if (price := known.fuel_usd_per_mmbtu.get(one.id)) is not None
        ),
    ]
    return [
        f"{what} {one.lo:,g} to {one.hi:,g} {unit}: {one.source} (as of {one.as_of})."
        for what, one, unit in named
    ]


def _years(utility: pd.Series, costs: Economics) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Return the years of an upgrade by each row's utility, else the plan's, and whose they are."""
    known = utility.isin(list(costs.upgrade_years_of))
    named = utility.where(known)
    ends = [
        named.map({name: getattr(one, end) for name, one in costs.upgrade_years_of.items()})
        .astype(float)
        .fillna(getattr(costs.upgrade_years, end))
        for end in ENDS
    ]
    return ends[0], ends[1], named.where(known, "the plan's default")
