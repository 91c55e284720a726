"""Turn facts into opinions: verdict, score (worst and best case), call, and the order of the sites.

A site's score changes only when its own facts or the plan change: scores are straight ramps in real
units, never relative to other sites.
"""

import geopandas as gpd
import numpy as np
import pandas as pd

from geo import catalogue
from geo.contract.facts import check_facts
from geo.criteria.fuel.shared_mains import gas_left_of_mains
from geo.criteria.grid import gap
from geo.equipment.selection import plan_fuels
from geo.errors import ConfigError
from geo.model import CRITERIA, Plan, Ramp
from geo.ranking.sentences import describe_levers, describe_limit, write_sentence

VERDICTS = ("fit", "unknown", "unfit")
# Roughly what one more machine needs in each criterion's unit, so that slacks can be compared.
SLACK_UNIT_DB, SLACK_UNIT_M = 3.0, 1.524
HIGH_SHARE, MEDIUM_SHARE = 0.85, 0.5
# Of a group of adjoining sites, at most ROWS_PER_GROUP are among the first TOP_ROWS listed; the
# others are folded.
TOP_ROWS, ROWS_PER_GROUP = 20, 3


def rank_sites(facts: gpd.GeoDataFrame, plan: Plan) -> gpd.GeoDataFrame:
    """Judge and order the sites.

    The order is by verdict, worst score, known share, power served, n_lo, smallest slack and id.
    Numbers are rounded as the catalogue declares before they are compared, so that the order agrees
    with the numbers that are shown.

    Returns:
        The ranking: one row per site, best first, with a new index.
    """
    ranking = facts.copy()
    ranking["fuel_title"] = ranking["fuel"].map({one.id: one.title for one in plan_fuels(plan)})
    ranking["verdict"] = np.select(
        [ranking["n_lo"] >= 1, ranking["n_hi"] == 0], ["fit", "unfit"], "unknown"
    )
    ranking = _add_power(ranking, plan)
    _add_scores(ranking, plan)
    ranking["smallest_slack"] = _smallest_slack(ranking)
    ranking = round_facts(ranking)
    _add_texts(ranking, plan)
    ranking = _sort_ranking(ranking)
    ranking["rank"] = np.arange(1, len(ranking) + 1)
    ranking["headroom_left_kw"] = gap.headroom_left_kw(ranking, plan.target_kw).round()
    ranking = ranking.join(gas_left_of_mains(ranking, plan.spares).round(1))
    ranking["folded"] = mark_folded(ranking["group_id"])
    shapes = ["geometry", *catalogue.SHAPE_COLUMNS]
    published = [fact.name for fact in catalogue.facts_of_table(ranking.columns)]
    check_facts(published, "the ranking", published=True)
    return gpd.GeoDataFrame(ranking[published + shapes], geometry="geometry", crs=facts.crs)


def mark_folded(group: pd.Series) -> np.ndarray:
    """Return which sites a list shows under their group instead of in their own row.

    Until TOP_ROWS sites are listed, the fourth and later sites of a group are folded.

    >>> mark_folded(pd.Series(["a", "a", "b", "a", "a", "c"])).tolist()
    [False, False, False, False, True, False]
    """
    more = group.groupby(group).cumcount().to_numpy() >= ROWS_PER_GROUP
    return np.asarray(more & (np.cumsum(~more) < TOP_ROWS))


def count_folded_beneath(ranking: pd.DataFrame) -> np.ndarray:
    """Return the number of folded sites under each site of a ranking.

    A folded site is under the last site of its group that is listed before it.
    """
    away = ranking["folded"].to_numpy(dtype=bool)
    place = pd.Series(np.where(away, np.nan, np.arange(len(ranking))), index=ranking.index)
    last = place.groupby(ranking["group_id"]).ffill().to_numpy()
    return np.bincount(last[away].astype(int), minlength=len(ranking))


def round_facts(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Round every fact to the decimals that the catalogue gives it."""
    decimals = {
        fact.name: fact.decimals
        for fact in catalogue.facts_of_table(frame.columns)
        if fact.decimals is not None
    }
    # Adding 0 turns -0.0 into 0.0, which would print as "-0.0".
    numbers = {
        name: pd.to_numeric(frame[name]).round(places) + 0 for name, places in decimals.items()
    }
    others = frame.drop(columns=list(numbers))
    whole = pd.concat([others, pd.DataFrame(numbers, index=frame.index)], axis=1)
    return gpd.GeoDataFrame(whole[list(frame.columns)], geometry="geometry", crs=frame.crs)


def count_opinions(ranking: gpd.GeoDataFrame) -> dict[str, dict[str, int]]:
    """Count the ranking by each opinion and evidence, and by number of generators."""
    columns = (
        "verdict", "call", "gap_class", "binding", "grid_evidence", "headroom_check",
        "fuel_evidence",
        "noise_evidence", "pad_evidence", "fuel", "n_lo", "n_hi",
    )  # fmt: skip
    return {
        name: {str(key): int(n) for key, n in ranking[name].value_counts().sort_index().items()}
        for name in columns
    }


def score_on_ramp(values: pd.Series, line: Ramp) -> pd.Series:
    """Return 0 at `zero_at`, 1 at `one_at`, linear between and constant beyond; NaN stays NaN.

    >>> score_on_ramp(pd.Series([30.0]), Ramp(weight=1, zero_at=120, one_at=0)).tolist()
    [0.75]
    """
    return ((values - line.zero_at) / (line.one_at - line.zero_at)).clip(0, 1)


def _add_power(ranking: gpd.GeoDataFrame, plan: Plan) -> gpd.GeoDataFrame:
    """Add the power of the generators that fit at each site, and the part of each load served."""
    machine_kw = ranking["machine_kw"]
    running = {end: (ranking[f"n_{end}"] - plan.spares).clip(lower=0) for end in ("lo", "hi")}
    columns: dict[str, pd.Series | np.ndarray] = {
        f"power_{end}_kw": count * machine_kw for end, count in running.items()
    }
    for load_kw in plan.every_load_kw:
        tag = catalogue.load_column_tag(load_kw)
        least, most = gap.shortfall_range_kw(
            ranking["headroom_lo_kw"], ranking["headroom_hi_kw"], load_kw
        )
        few, many = (gap.count_needed(short, machine_kw, plan.spares) for short in (least, most))
        columns |= {
            f"gap_at_{tag}": gap.classify_gap(least, most),
            f"short_lo_at_{tag}": least,
            f"short_hi_at_{tag}": most,
            f"needed_lo_at_{tag}": few,
            f"needed_hi_at_{tag}": many,
            f"covers_at_{tag}": gap.classify_gap_cover(
                few, many, ranking["n_lo"], ranking["n_hi"], most
            ),
            f"served_at_{tag}": gap.power_served_kw(load_kw, most, running["lo"], machine_kw),
        }
    tag = catalogue.load_column_tag(plan.target_kw)
    columns |= {
        "power_served_kw": columns[f"served_at_{tag}"],
        "covers_gap": columns[f"covers_at_{tag}"],
    }
    return gpd.GeoDataFrame(ranking.join(pd.DataFrame(columns, index=ranking.index)))


def _add_scores(ranking: gpd.GeoDataFrame, plan: Plan) -> None:
    worst, best = {}, {}
    if plan.grid.goal == "bridge":
        closed = [
            ranking[[f"shortfall_{end}_kw", f"power_{end}_kw"]].min(axis=1) / plan.target_kw
            for end in ("lo", "hi")
        ]
        worst["grid"], best["grid"] = (score_on_ramp(share, plan.score.grid) for share in closed)
    else:
        ends = pd.concat(
            [score_on_ramp(ranking[f"headroom_{end}_kw"], plan.score.grid) for end in ("lo", "hi")],
            axis=1,
        )
        worst["grid"], best["grid"] = ends.min(axis=1), ends.max(axis=1)
    stored = ranking["fuel_evidence"] == "storage"
    away = ranking["main_distance_m"].fillna(ranking["plant_distance_m"])
    away = away.where(~stored, plan.fuel.storage_as_far_as_m)
    reached = score_on_ramp(away, plan.score.fuel)
    worst["fuel"] = reached.where(ranking["fuel_n_lo"] > 0, 0.0)
    best["fuel"] = reached.fillna(1.0).where(ranking["fuel_n_hi"] > 0, 0.0)
    bare = ranking["bare"]
    ground = ranking["ground_area_m2"]
    # On a bare parcel the recorded floor area and stories still limit the ground.
    ground = ground.where(~bare, np.fmin(ground, ranking["open_area_m2"]))
    best["pad"] = score_on_ramp(ground, plan.score.pad)
    worst["pad"] = best["pad"].where(ranking["pad_lo"] == ranking["pad_n"], 0.0)
    worst["noise"] = score_on_ramp(ranking["margin_worst_db"], plan.score.noise)
    best["noise"] = score_on_ramp(ranking["margin_best_db"], plan.score.noise)

    weightless = set(str(ranking["weightless"].iloc[0]).split())
    weight = {
        name: 0.0 if name in weightless else getattr(plan.score, name).weight for name in CRITERIA
    }
    total = sum(weight.values())
    if not total:
        raise ConfigError(
            f"scoring by plan {plan.id!r}",
            f"nothing counts: the market has no layers for {' and '.join(sorted(weightless))}, and "
            "the plan weighs no other criterion",
            "give another criterion of [score] a weight above 0",
        )
    for name in CRITERIA:
        counted = weight[name] > 0
        ranking[f"score_{name}"] = worst[name] if counted else np.nan
        ranking[f"score_{name}_best"] = best[name] if counted else np.nan
    low = sum(weight[name] * worst[name] for name in CRITERIA)
    high = sum(weight[name] * best[name] for name in CRITERIA)
    sure = {
        "grid": ranking["shortfall_lo_kw"] == ranking["shortfall_hi_kw"],
        "fuel": (ranking["fuel_n_lo"] == ranking["fuel_n_hi"]) & ranking["fuel_assumed"].isna(),
        "pad": (ranking["pad_evidence"] == "buildings")
        & ranking["yards_known"]
        & (ranking["setback_evidence"] == "zoning text"),
        "noise": (ranking["margin_worst_db"] == ranking["margin_best_db"])
        & ~ranking["own_assumed"]
        & ~ranking["ambient_assumed"],
    }
    known = sum(weight[name] * sure[name].astype(float) for name in CRITERIA)
    ranking["score"], ranking["score_best"] = 100 * low / total, 100 * high / total
    ranking["known_share"] = known / total


def _smallest_slack(ranking: gpd.GeoDataFrame) -> pd.Series:
    """Return the approximate least slack, in generators; negative if the first does not fit."""
    units = {"noise": SLACK_UNIT_DB, "pad": SLACK_UNIT_M, "fuel": ranking["fuel_demand"]}
    slack = pd.DataFrame(
        {
            "noise": ranking["noise_slack_db"] / units["noise"],
            "pad": ranking["pad_slack_m"] / units["pad"],
            "fuel": ranking["fuel_slack"] / units["fuel"],
        }
    )
    # The first generator lacks its excess at the quietest spot, whether or not it fits there.
    too_loud = np.fmax(ranking["noise_short_by_db"], -ranking["one_machine_margin_db"])
    lacking = pd.DataFrame(
        {
            "noise": too_loud.clip(lower=0) / units["noise"],
            "pad": np.fmax(ranking["pad_short_by_m"] / units["pad"], ranking["pad_lack"]),
            "fuel": ranking["fuel_short_by"] / units["fuel"],
        }
    )
    return slack.min(axis=1).where(ranking["n_lo"] > 0, -lacking.max(axis=1))


def _add_texts(ranking: gpd.GeoDataFrame, plan: Plan) -> None:
    assumed = ranking["assumed"].notna()
    ranking["call"] = _choose_call(ranking)
    grade = np.select(
        [(ranking["known_share"] >= HIGH_SHARE) & ~assumed, ranking["known_share"] >= MEDIUM_SHARE],
        ["high", "medium"],
        "low",
    )
    share = (100 * ranking["known_share"]).round().astype(int).astype(str)
    ranking["confidence"] = [
        f"{word} (data {percent}% complete{', some assumed' if taken else ''})"
        for word, percent, taken in zip(grade, share, assumed, strict=True)
    ]
    rows = ranking.drop(columns=["geometry", *catalogue.SHAPE_COLUMNS]).to_dict("records")
    ranking["limit_text"] = [describe_limit(row, plan) for row in rows]
    ranking["lift_text"] = [describe_levers(row, plan) for row in rows]
    ranking["sentence"] = [write_sentence(row, plan) for row in rows]


def _choose_call(ranking: gpd.GeoDataFrame) -> np.ndarray:
    """Return the call of each site for the target load.

    `no`: none fits, or too few even at best, or the grid surely covers the load. `yes`: the grid is
    surely short, enough fit for sure to close the largest shortfall, the pad can be reached from
    the street, no source contradicts another, and nothing is assumed. Where no capacity is
    published, nothing is surely short. Otherwise somebody must check first.
    """
    covers = ranking["covers_gap"]
    return np.select(
        [
            ranking["verdict"] == "unfit",
            ranking["headroom_check"] == "contradict",
            (ranking["gap_class"] == "covered") | (covers == "no"),
            (ranking["gap_class"] == "short")
            & (covers == "yes")
            & (ranking["access"] == "reached")
            & ranking["assumed"].isna(),
        ],
        ["no", "check first", "no", "yes"],
        "check first",
    )


def _sort_ranking(ranking: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    place = {name: number for number, name in enumerate(VERDICTS)}
    keys = pd.DataFrame(
        {
            "verdict": ranking["verdict"].map(place),
            "score": -ranking["score"],
            "known_share": -ranking["known_share"],
            "power_served_kw": -ranking["power_served_kw"],
            "n_lo": -ranking["n_lo"],
            "smallest_slack": -ranking["smallest_slack"].fillna(-np.inf),
            "site_id": ranking["site_id"],
        }
    )
    order = keys.sort_values(list(keys.columns), kind="stable").index
    return ranking.loc[order].reset_index(drop=True)
