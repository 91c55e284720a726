"""How loud one machine in the open is at points of a site. Compiled."""

from collections.abc import Callable
from typing import Any

import numpy as np

from geo.compiled import called, entry, refer
from geo.propagation.by_distance import look_up
from geo.sizing.kernel.arrays import PACKAGES, Study
from geo.sizing.kernel.transfer import box_distance_m, find_loudest_point


@called
def _fill_each_loudness(
    study: Study, site: np.ndarray, xy: np.ndarray, loudness: np.ndarray
) -> None:
    hearing = study.market.hearing
    for k in range(len(site)):
        loudest = 0.0
        for pair in range(hearing.first[site[k]], hearing.first[site[k] + 1]):
            away_m = box_distance_m(hearing.box[pair], xy[k, 0], xy[k, 1])
            if look_up(study.levels.open, away_m) * hearing.per_limit[pair] > loudest:
                ratio, _ = find_loudest_point(study, site[k], pair, xy[k, 0], xy[k, 1])
                loudest = max(loudest, ratio)
        loudness[k] = loudest


def _make_fill_loudness(version: str) -> Callable[..., Any]:
    def fill_loudness(study: Study, site: np.ndarray, xy: np.ndarray, loudness: np.ndarray) -> None:
        len(version)
        _fill_each_loudness(refer(study), site, xy, loudness)

    return fill_loudness


fill_loudness = entry(_make_fill_loudness, PACKAGES)
