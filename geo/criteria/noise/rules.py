"""What may be heard: the plan's own limit always, and the market's rule beside it."""

from dataclasses import dataclass

import numpy as np

from geo import catalogue
from geo.errors import ConfigError
from geo.model import Market, NoiseRule, Plan, ReceptorClass, UseClass

# Leq to Ldn of a steady sound: night's nine hours count 10 dB more, 10 lg((15 + 9 x 10) / 24).
STEADY_LDN_DB = 10 * np.log10((15 + 9 * 10) / 24)


@dataclass(frozen=True)
class Limit:
    """One limit on the steady level at receptors of some classes, from sites of some uses.

    Either `most_dba`, absolute, or `above_ambient_db`, on top of the ambient level; the other is
    NaN. `by_rule` tells the market's rule from the plan's own limit. `emits` empty: any use.
    """

    classes: tuple[ReceptorClass, ...]
    emits: tuple[UseClass, ...]
    most_dba: float
    above_ambient_db: float
    by_rule: bool

    def lowest_dba(self, floor_dba: float) -> float:
        """Return the lowest that the limit can be, with no ambient below `floor_dba`."""
        return float(np.fmin(self.most_dba, floor_dba + self.above_ambient_db))

    def at_ambient_dba(self, ambient_dba: np.ndarray, floor_dba: float) -> np.ndarray:
        """Return the limit where the ambient level is `ambient_dba`; NaN where that is needed.

        For example, 10 dB above an ambient of 42 dB(A): 52 dB(A); of 25, with a floor of 30: 40.
        """
        if np.isnan(self.above_ambient_db):
            return np.full(len(ambient_dba), self.most_dba)
        return np.asarray(np.maximum(ambient_dba, floor_dba) + self.above_ambient_db)


def market_noise_rule(market: Market) -> NoiseRule | None:
    """Return the market's noise rule; None where it declares none.

    Raises ConfigError for a rule that the catalogue does not know.
    """
    if market.noise_rule is None:
        return None
    known = catalogue.read_noise_rules().rule
    if market.noise_rule not in known:
        raise ConfigError(
            f"reading market {market.id!r}",
            f"noise rule {market.noise_rule!r} is not in the catalogue",
            f"use one of {', '.join(known)}, or none",
        )
    return known[market.noise_rule]


def list_limits(market: Market, plan: Plan) -> tuple[Limit, ...]:
    """Return every limit that holds: the plan's first, then the rule's, night governing day.

    A source that runs round the clock is held to the lower of day and night; a day-night level to
    6.4 dB less. For example, HUD's 65 dB Ldn is 58.6 dB(A) of steady sound.
    """
    classes = plan.noise.receptors
    if "home" in classes:
        classes = (*classes, "unknown")
    own = Limit(classes, (), plan.noise.limit_dba, np.nan, by_rule=False)
    rule = market_noise_rule(market)
    if rule is None:
        return (own,)
    less_db = STEADY_LDN_DB if rule.metric == "ldn" else 0.0
    limits = [own]
    for row in rule.limits:
        applies_to = (receptor_classes(row.receives), row.emits)
        stated_dba = [value for value in (row.day_dba, row.night_dba) if value is not None]
        if stated_dba:
            limits.append(Limit(*applies_to, min(stated_dba) - less_db, np.nan, by_rule=True))
        # A limit of its own: where nobody knows the ambient level, the other still holds.
        if row.above_ambient_db is not None:
            limits.append(Limit(*applies_to, np.nan, row.above_ambient_db, by_rule=True))
    return tuple(limits)


def receptor_classes(receiving: str) -> tuple[ReceptorClass, ...]:
    """Return the kinds of receptor that a receiving class takes in."""
    table = catalogue.read_noise_rules().receiving
    return tuple(kind for kind, held_as in table.items() if held_as == receiving)


def protected_receptors(market: Market, plan: Plan) -> tuple[ReceptorClass, ...]:
    """Return every kind of receptor that some limit protects, once each."""
    return tuple(
        dict.fromkeys(kind for limit in list_limits(market, plan) for kind in limit.classes)
    )
