"""Estimate time and money on each row: a grid upgrade compared with generators on a pad.

The estimates are the plan's ranges, each with its source and date. They compare alternatives; they
are not an offer.
"""

import numpy as np
import pandas as pd

from geo.contract.units import unit_factor
from geo.equipment.generator import BTU_PER_KWH
from geo.model import Economics, Estimate, Fuel, Generator, Plan

ENDS = ("lo", "hi")
BTU_PER_MMBTU = 1e6


def estimate_costs(
    facts: pd.DataFrame, generator: Generator, fuels: list[Fuel], plan: Plan
) -> pd.DataFrame:
    """Estimate the years and dollars of a grid upgrade and the weeks and dollars of a pad.

    The low ends are for the lowest shortfall, the high ends for the highest. Where only the
    substation is known, the high end includes a line from it.

    For example, 950 kW short at power factor 0.95 is 1000 kVA. A connection for 400 000 dollars and
    51 dollars per kVA cost at least 451 000 dollars. Five generators of 200 kW at 1000 dollars per
    kW cost 1 000 000 dollars.

    Args:
        facts: Columns shortfall_lo_kw, shortfall_hi_kw, power_factor, grid_evidence, grid_utility,
            grid_distance_m, placed_n, needed_lo, needed_hi, machine_kw, fuel and service_line_m.
        generator: The plan's generator.
        fuels: The plan's fuels.
        plan: The plan, for its estimates.

    Returns:
        The low and high end of each estimate, one row per site. An end is NaN where a fact that it
        needs is not known, and the upgrade and the generators are NaN where nothing can be short.
    """
    economics = plan.economics
    costs = pd.DataFrame(index=facts.index)
    costs["upgrade_years_lo"], costs["upgrade_years_hi"], costs["upgrade_years_source"] = (
        _upgrade_years(facts["grid_utility"], economics)
    )
    costs["pad_weeks_lo"], costs["pad_weeks_hi"] = economics.pad_weeks.lo, economics.pad_weeks.hi
    factor = facts["power_factor"].fillna(plan.grid.power_factor)
    by_substation = facts["grid_evidence"].isin(
        ["substation", "unpublished", "feeders of substation"]
    )
    by_line = facts["grid_evidence"].isin(["service area", "feeder", "grid cell"])
    line_m = facts["grid_distance_m"].where(by_substation, np.where(by_line, 0.0, np.nan))
    line_usd = {"lo": 0.0, "hi": line_m * economics.line_usd_per_m.hi}
    # Where nothing can be short, there are no alternatives to compare.
    may_be_short = facts["shortfall_hi_kw"] > 0
    for end in ENDS:
        short = facts[f"shortfall_{end}_kw"]
        usd = (
            getattr(economics.connection_usd, end)
            + short / factor * getattr(economics.upgrade_usd_per_kva, end)
            + line_usd[end]
        )
        costs[f"upgrade_usd_{end}"] = usd.where(short > 0, 0.0).where(may_be_short)
        # Only the generators that help to close the shortfall are counted.
        count = facts["placed_n"].clip(upper=facts[f"needed_{end}"])
        costs[f"costed_n_{end}"] = count.where(may_be_short)
        closed = ((count - plan.spares).clip(lower=0) * facts["machine_kw"]).clip(upper=short)
        costs[f"closed_{end}_kw"] = closed.where(may_be_short)
        each_usd = generator.power_kw * getattr(economics.generator_usd_per_kw, end)
        costs[f"generators_usd_{end}"] = costs[f"costed_n_{end}"] * each_usd
        usd_per_m = getattr(economics.service_line_usd_per_m, end)
        costs[f"service_line_usd_{end}"] = facts["service_line_m"] * usd_per_m
        by_fuel = fuel_cost_usd_per_kwh(generator, fuels, economics, end)
        costs[f"energy_usd_per_kwh_{end}"] = facts["fuel"].map(by_fuel).astype(float)
    for name in ("upgrade_years_lo", "upgrade_years_hi"):
        costs[name] = costs[name].where(may_be_short)
    return costs


def fuel_cost_usd_per_kwh(
    generator: Generator, fuels: list[Fuel], economics: Economics, end: str
) -> dict[str, float]:
    """Return the fuel cost of one kilowatt-hour, for each fuel that the plan prices.

    For example, an efficiency of 33 % of the higher heating value takes 10 340 Btu per kWh; at 10
    dollars per million Btu a kilowatt-hour costs 0.103 dollars.

    Args:
        generator: The generator, for its efficiency and the heating value that it refers to.
        fuels: The fuels.
        economics: The plan's estimates.
        end: `lo` or `hi`: the end of the price range.

    Returns:
        Dollars per kWh by fuel id.
    """
    costs = {}
    for fuel in fuels:
        price = economics.fuel_usd_per_mmbtu.get(fuel.id)
        if price is None:
            continue
        basis = 1.0 if generator.efficiency_basis == "HHV" else fuel.hhv_btu / fuel.lhv_btu
        btu_per_kwh = BTU_PER_KWH / generator.efficiency * basis
        costs[fuel.id] = btu_per_kwh / BTU_PER_MMBTU * float(getattr(price, end))
    return costs


def describe_estimates(plan: Plan, fuels: list[Fuel]) -> list[str]:
    """List the plan's estimates for the reader, each with its source and date."""
    economics, m_per_ft = plan.economics, unit_factor("ft", "m")
    years, weeks = economics.upgrade_years, economics.pad_weeks
    lines = [
        _estimate_text("A grid upgrade takes", f"{years.lo:g} to {years.hi:g} years", years),
        *(
            _estimate_text(f"A grid upgrade by {utility} takes", f"{own.lo:g} to {own.hi:g} years",
                           own)
            for utility, own in sorted(economics.upgrade_years_of.items())
        ),
        _estimate_text("A generator pad takes", f"{weeks.lo:g} to {weeks.hi:g} weeks", weeks),
    ]  # fmt: skip
    prices: list[tuple[str, Estimate, float, str]] = [
        ("New grid capacity costs", economics.upgrade_usd_per_kva, 1.0, " per kVA"),
        ("A grid connection costs", economics.connection_usd, 1.0, ""),
        ("A new line to the substation costs", economics.line_usd_per_m, m_per_ft, " per foot"),
        ("A generator costs", economics.generator_usd_per_kw, 1.0, " per kW"),
        ("A gas service line costs", economics.service_line_usd_per_m, m_per_ft, " per foot"),
        *(
            (f"{fuel.title.capitalize()} costs", price, 1.0, " per million Btu (HHV)")
            for fuel in fuels
            if (price := economics.fuel_usd_per_mmbtu.get(fuel.id)) is not None
        ),
    ]
    lines += [
        _estimate_text(
            subject, f"{_usd(price.lo * factor)} to {_usd(price.hi * factor)}{per}", price
        )
        for subject, price, factor, per in prices
    ]
    return lines


def _estimate_text(subject: str, span: str, estimate: Estimate) -> str:
    return f"{subject} {span}. Source: {estimate.source} (date: {estimate.as_of})."


def _usd(amount: float) -> str:
    """Return an amount in dollars, with cents only below 10 dollars.

    >>> _usd(3.9624), _usd(8.0), _usd(400_000.0)
    ('$3.96', '$8', '$400,000')
    """
    return f"${amount:,.2f}" if amount < 10 and amount % 1 else f"${amount:,.0f}"


def _upgrade_years(
    utility: pd.Series, economics: Economics
) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Return the years of an upgrade for each row's utility, or the plan's; and which it is."""
    known = utility.isin(list(economics.upgrade_years_of))
    named = utility.where(known)
    years = [
        named.map({name: getattr(own, end) for name, own in economics.upgrade_years_of.items()})
        .astype(float)
        .fillna(getattr(economics.upgrade_years, end))
        for end in ENDS
    ]
    return years[0], years[1], named.where(known, "plan default")
