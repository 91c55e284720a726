"""How far a plan's assumptions may be off, and what that does to a generator's fuel."""

import math

from geo.equipment.selection import plan_generator
from geo.model import Plan, Range, Route


def fuel_share_factor(route: Route, plan: Plan) -> float:
    """Return how many times the share of its supply a generator may really take.

    Each assumption in turn has the least favorable value of its range; without a range, it may have
    any value. For example, at 25% instead of 33% efficiency a generator burns 1.32 times as much.

    Args:
        route: How the fuel reaches the site. Only a main's supply depends on its usable share.
        plan: The plan with its ranges.

    Returns:
        The factor, at least 1; inf if the plan does not give the range of an assumption.
    """
    assumed = [(plan_generator(plan).efficiency, plan.ranges.efficiency)]
    if route == "main":
        assumed.append((plan.fuel.usable_share, plan.ranges.usable_share))
    return max(_factor(value, given) for value, given in assumed)


def _factor(value: float, given: Range | None) -> float:
    return math.inf if given is None else max(value / given.lo, 1.0)


def fuel_share_most(route: Route, plan: Plan) -> float:
    """Return the greatest share of a supply that generators may take without further checks.

    A main or a plant keeps the plan's margin, and tanks are there for the site alone. Both hold at
    the least favorable value of each assumption in the plan's ranges.
    """
    most = 1.0 if route == "storage" else plan.call.fuel_share_most
    return most / fuel_share_factor(route, plan)
