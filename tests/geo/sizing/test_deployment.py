import shapely

from tests.geo.sizing.conftest import LOT, home_at


def test_nothing_stops_it_but_the_plan(town, sized, plan):
    _, got = sized(town([LOT]), plan)
    assert got.iloc[0].tolist() == [25, 25, "cap", "cap", None]


def test_the_neighbors_stop_it_and_fuel_is_next(town, sized, plan):
    small = shapely.box(0, 0, 12, 12)  # 6 by 6 m of ground: four machines
    near = shapely.box(14, 0, 30, 12)
    found, got = sized(town([small], homes=[near]), plan, fuel_lo=3)
    row = got.iloc[0]
    # The ground fits 4. The farthest corner is 14 m from the home: floor(2^2) = 4 at one point, but
    # a real block's center is nearer: (14 - 3 - 1.37) / 7 squared is 1.9, so one.
    assert found.pad_n.tolist() == [4]
    assert found.noise_n.tolist() == [4]
    assert row["n_lo"] == row["n_hi"] == 1
    # The ground has room for three more, so it does not limit the site.
    assert (row["binding"], row["runner_up"]) == ("noise", "fuel")


def test_waiving_noise_alone_gives_most(town, sized, plan):
    found, got = sized(town([shapely.box(0, 0, 20, 20)], homes=[shapely.box(20, 0, 40, 20)]), plan)
    # 14 by 14 m of ground fits 25 (13.1 by 10.1); neighbors allow floor((20 / 7)^2) = 8 to run.
    assert found.pad_n.tolist() == [25]
    assert found.noise_n.tolist() == [8]
    assert got["binding"].tolist() == ["noise"]
    assert got["runner_up"].tolist() == ["cap"]


def test_fuel_binds_and_several_bind(town, sized, plan):
    _, got = sized(town([LOT]), plan, fuel_lo=6)
    assert got.iloc[0].tolist() == [6, 6, "fuel", "fuel", "cap"]
    _, got = sized(town([shapely.box(0, 0, 8, 8)]), plan, fuel_lo=0)
    # 2 by 2 m of ground fits none and there is no gas: neither waiver helps alone.
    assert got.iloc[0].tolist() == [0, 0, "several", "pad and fuel", None]


def test_unknown_fuel_is_a_bracket(town, sized, plan):
    _, got = sized(town([LOT]), plan, fuel_lo=0, fuel_hi=25)
    assert got.iloc[0][["n_lo", "n_hi", "binding"]].tolist() == [0, 25, "fuel"]


def test_spares_stand_on_the_pad_but_are_not_heard(town, sized, plan):
    near = town([LOT], homes=[home_at(0)])
    plan = plan.model_copy(update={"noise": plan.noise.model_copy(update={"limit_dba": 66.0})})
    spare = plan.model_copy(update={"spares": 2})
    n = sized(near, plan)[1]["n_lo"].iloc[0]
    assert 0 < n < 23
    # The two spares stand in the block too, so it has up to two more machines, never fewer.
    assert n <= sized(near, spare)[1]["n_lo"].iloc[0] <= n + 2
    assert sized(town([LOT]), spare, fuel_lo=4)[1]["n_lo"].tolist() == [6]
    assert sized(town([LOT]), spare, fuel_lo=0)[1]["n_lo"].tolist() == [0]
