"""The noise limits: always the plan's own limit, and the market's rule where there is one."""

from dataclasses import dataclass

import numpy as np

from geo import catalogue
from geo.errors import ConfigError
from geo.model import (
    VACANT_CLASSES,
    Market,
    NoiseRule,
    Plan,
    ProtectedBy,
    ReceptorClass,
    UseClass,
)

# Ldn less Leq of a steady sound: the night's nine hours count 10 dB more.
STEADY_LDN_DB = 10 * np.log10((15 + 9 * 10) / 24)


@dataclass(frozen=True)
class Limit:
    """One limit on the steady level at receptors of some classes, from sites of some uses.

    The limit is either `most_dba`, absolute, or `above_ambient_db`, added to the ambient level; the
    other is NaN. `by_rule` is True for the market's rule, False for the plan's own limit. If
    `emits` is empty, the limit applies to sites of any use.
    """

    classes: tuple[ReceptorClass, ...]
    emits: tuple[UseClass, ...]
    most_dba: float
    above_ambient_db: float
    by_rule: bool

    def lowest_dba(self, floor_dba: float) -> float:
        """Return the lowest possible limit, if the ambient level is never below `floor_dba`."""
        return float(np.fmin(self.most_dba, floor_dba + self.above_ambient_db))

    def at_ambient_dba(self, ambient_dba: np.ndarray, floor_dba: float) -> np.ndarray:
        """Return the limit at ambient levels; NaN where a level is needed and not known.

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
    """Return every limit that applies: the plan's first, then the rule's.

    A source that runs day and night must meet the lower of the day and night limits, or 6.4 dB less
    than a day-night level. For example, HUD's 65 dB Ldn is 58.6 dB(A) of steady sound.
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
        applies_to = (receptor_classes(row.receives, rule.protects), row.emits)
        stated_dba = [value for value in (row.day_dba, row.night_dba) if value is not None]
        if stated_dba:
            limits.append(Limit(*applies_to, min(stated_dba) - less_db, np.nan, by_rule=True))
        # This is a separate limit: where the ambient level is unknown, the other still applies.
        if row.above_ambient_db is not None:
            limits.append(Limit(*applies_to, np.nan, row.above_ambient_db, by_rule=True))
    return tuple(limits)


def receptor_classes(receiving: str, protects: ProtectedBy) -> tuple[ReceptorClass, ...]:
    """Return the kinds of receptor in a receiving class; vacant land only for rules by zone."""
    table = catalogue.read_noise_rules().receiving
    return tuple(
        kind
        for kind, held_as in table.items()
        if held_as == receiving and (protects == "zone" or kind not in VACANT_CLASSES)
    )


def protected_receptors(market: Market, plan: Plan) -> tuple[ReceptorClass, ...]:
    """Return every kind of receptor that some limit protects, once each."""
    return tuple(
        dict.fromkeys(kind for limit in list_limits(market, plan) for kind in limit.classes)
    )
