"""Groups of tanks or trailers: their capacity, how long it lasts, and their clearances."""

from dataclasses import dataclass

import numpy as np

from geo import catalogue
from geo.equipment.generator import fuel_demand
from geo.errors import ConfigError
from geo.model import Container, Fuel, Generator, Plan, Separation

HOURS_PER_DAY = 24


@dataclass(frozen=True)
class TankGroup:
    """A row of identical containers, side by side: its size, clearances and machines.

    `capacity` is their total capacity, in the fuel's unit of storage; `flow` is what they deliver
    over the plan's days, in the fuel's trade unit; `feeds` is the number of machines that can run
    on that flow. `line_m` is None where the rule says nothing about lot lines.
    """

    count: int
    container: Container
    capacity: float
    flow: float
    feeds: int
    length_m: float
    width_m: float
    between_m: float
    building_m: float
    line_m: float | None
    pad_m: float


def list_tank_groups(fuel: Fuel, generator: Generator, plan: Plan) -> list[TankGroup]:
    """List every group of one size of container that feeds at least one machine, smallest first.

    Of several groups that feed the same number of machines, the list has the one with the smallest
    capacity, then the one with the fewest containers. Without a vaporizer, a liquid gives only what
    boils off. For example, 30,000 gal of propane, 80 % usable, over 3 days are 333.3 gal/h: 14
    machines at 22.6 gal/h, 50 ft from buildings and lot lines.

    Args:
        fuel: The fuel, for its containers.
        generator: The generator, for the fuel that it burns.
        plan: The plan, for its days of storage and its separation rules.

    Returns:
        The groups.

    Raises:
        ConfigError: When the plan does not say how long the fuel should last, or which separation
            rule applies.
    """
    rule, each = _separation_rule(fuel, plan), fuel_demand(generator, fuel)
    best: dict[int, TankGroup] = {}
    for container in fuel.containers:
        for count in range(1, plan.fuel.containers_most + 1):
            group = _size_tank_group(count, container, fuel, each, rule, plan)
            if group is None or not group.feeds:
                continue
            feeds = min(group.feeds, plan.cap)
            known = best.get(feeds)
            if known is None or (group.capacity, count) < (known.capacity, known.count):
                best[feeds] = group
    return [best[feeds] for feeds in sorted(best)]


def storage_days(usable: np.ndarray, burnt: np.ndarray) -> np.ndarray:
    """Return the days that stored fuel lasts between deliveries; NaN where nothing runs.

    `usable` is in the fuel's unit of storage, `burnt` in that unit per hour.

    For example, 24,000 usable gallons for ten machines of 22.6 gal/h: 4.4 days.
    """
    lasts = np.full(len(usable), np.nan)
    np.divide(usable, HOURS_PER_DAY * burnt, out=lasts, where=burnt > 0)
    return lasts


def _separation_rule(fuel: Fuel, plan: Plan) -> Separation:
    named, rules = plan.fuel.separation.get(fuel.id), catalogue.read_separations()
    if named not in rules or fuel.id not in plan.fuel.autonomy_days:
        raise ConfigError(
            f"storing {fuel.title} by plan {plan.id!r}",
            f"separation.{fuel.id} is {named!r} and autonomy_days.{fuel.id} is "
            f"{plan.fuel.autonomy_days.get(fuel.id)!r}",
            f"give both under [fuel]; separations are {', '.join(rules)}",
        )
    return rules[named]


def _size_tank_group(
    count: int, container: Container, fuel: Fuel, each: float, rule: Separation, plan: Plan
) -> TankGroup | None:
    """Return a row of `count` containers, for machines that burn `each`.

    None where the rule's table has no row for the capacity, or where boil-off is needed and the
    container's is not known.
    """
    days = plan.fuel.autonomy_days[fuel.id]
    capacity = count * container.capacity
    row = next((row for row in rule.rows if capacity <= row.capacity_most), None)
    own = next((row for row in rule.rows if container.capacity <= row.capacity_most), None)
    if row is None or own is None:
        return None
    away = row.exposure_m
    if count == 1 and rule.lone is not None and capacity <= rule.lone.capacity_most:
        away = {name: min(m, rule.lone.exposure_m.get(name, m)) for name, m in away.items()}
    between = max(own.between_m, own.between_share * 2 * container.width_m)
    flow = capacity * fuel.usable_share / (HOURS_PER_DAY * days)
    if fuel.storage_unit == "gal" and not plan.fuel.vaporiser:
        if container.boil_off is None:
            return None
        flow = min(flow, count * container.boil_off)
    return TankGroup(
        count=count,
        container=container,
        capacity=capacity,
        flow=flow,
        feeds=int(flow // each),
        length_m=container.length_m,
        width_m=count * container.width_m + (count - 1) * between,
        between_m=between,
        building_m=away[rule.building],
        line_m=None if rule.line is None else away[rule.line],
        pad_m=away[rule.pad],
    )
