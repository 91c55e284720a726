"""Look up a plan's generator and fuels in the catalogue."""

from typing import TypeVar

from geo import catalogue
from geo.errors import ConfigError
from geo.model import Fuel, Generator, Plan

EntryT = TypeVar("EntryT")


def plan_generator(plan: Plan) -> Generator:
    """Return the plan's generator. Raises ConfigError if the catalogue does not have it."""
    return _look_up(catalogue.read_generators(), plan.generator, "generator", plan)


def plan_fuels(plan: Plan) -> list[Fuel]:
    """Return the plan's fuels in its order. Raises ConfigError if the catalogue lacks one."""
    return [_look_up(catalogue.read_fuels(), name, "fuel", plan) for name in plan.fuels]


def delivered_fuels(plan: Plan) -> list[Fuel]:
    """Return the plan's fuels that are delivered by road and stored on the site."""
    return [
        fuel
        for fuel in plan_fuels(plan)
        if "storage" in fuel.routes and fuel.id in plan.fuel.delivered
    ]


def _look_up(table: dict[str, EntryT], name: str, kind: str, plan: Plan) -> EntryT:
    if name not in table:
        raise ConfigError(
            f"reading plan {plan.id!r}",
            f"{kind} {name!r} is not in the catalogue",
            f"use one of {', '.join(table)}",
        )
    return table[name]
