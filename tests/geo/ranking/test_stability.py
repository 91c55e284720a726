import numpy as np
import pytest
import shapely

from geo.model import Range, Ranges
from geo.ranking.stability import DRAWS
from tests.geo.ranking.conftest import make_complete_town

LOTS = [shapely.box(100 * n, 0, 100 * n + 46, 46) for n in range(3)]


@pytest.fixture
def gas_plan(plan):
    return plan.model_copy(update={"fuels": ("natural_gas",)})


def fixed_ranges(**changes):
    values = {
        "usable_share": 0.25, "efficiency": 0.33, "rating_distance_m": 7.0, "power_factor": 0.95,
        "altitude_m": 0.0,
    }  # fmt: skip
    fixed = {key: Range(lo=one, hi=one, source="measured") for key, one in values.items()}
    return Ranges(**fixed | changes)


def test_what_nothing_can_change_is_stable(ranked_in, gas_plan):
    ranking = ranked_in(make_complete_town(LOTS), gas_plan)
    assert ranking["call"].tolist() == ["yes"] * 3
    assert ranking["stability"].tolist() == [1.0] * 3


def test_a_call_that_one_assumption_decides_is_kept_in_half_of_the_draws(ranked_in, gas_plan):
    # At 25 % efficiency they take 82 % of the spare gas, at 38 % they take 54 %.
    ranges = fixed_ranges(efficiency=Range(lo=0.25, hi=0.38, source="a guess"))
    plan = gas_plan.model_copy(update={"ranges": ranges})
    ranking = ranked_in(make_complete_town(LOTS, inches=3.5), plan)
    assert ranking["call"].tolist() == ["check first"] * 3
    # A call is `check first` now. With 38 %, it is a yes.
    assert ranking["stability"].nunique() == 1
    assert abs(ranking["stability"][0] - 0.5) < 4 * np.sqrt(0.25 / DRAWS)
    sure = gas_plan.model_copy(update={"ranges": fixed_ranges()})
    assert ranked_in(make_complete_town(LOTS, inches=3.5), sure)["stability"].tolist() == [1.0] * 3


def test_an_assumption_without_a_range_leaves_the_call(ranked_in, gas_plan):
    plan = gas_plan.model_copy(update={"ranges": fixed_ranges(efficiency=None)})
    ranking = ranked_in(make_complete_town(LOTS, inches=8), plan)
    assert ranking["call"].tolist() == ["check first"] * 3
    assert ranking["stability"].tolist() == [1.0] * 3


def test_the_first_rows_change_places_with_the_next_if_the_weights_decide(ranked_in, gas_plan):
    # Eleven lots 10 m from the main with 300 kW from the grid; eleven others 70 m away, some of
    # which score lower by fuel and higher by grid.
    near = [shapely.box(80 * n, 0, 80 * n + 46, 46) for n in range(12)]
    far = [shapely.box(80 * n, 55, 80 * n + 46, 101) for n in range(12)]
    town = make_complete_town(near + far)
    ranking = ranked_in(town, gas_plan)
    assert set(ranking["call"]) == {"yes"}
    # All weights vary alike for all, and near lots are better in every way but none.
    first, last = ranking["stability"][:12], ranking["stability"][20:]
    assert (first == 1).all()
    assert (last <= 1).all()
    again = ranked_in(town, gas_plan)
    assert again["stability"].equals(ranking["stability"])
