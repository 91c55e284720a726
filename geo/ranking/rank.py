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
from geo.model import CallCheck, Plan
from geo.ranking import calls
from geo.ranking.calls import Judgment
from geo.ranking.checks import join_checks, list_checks
from geo.ranking.largest_yes import find_largest_yes_kw
from geo.ranking.scores import add_scores
from geo.ranking.sentences import describe_data, describe_levers, describe_limit, write_sentence
from geo.ranking.stability import measure_stability

# Roughly what one more machine needs in decibels and in clearance, to compare them with fuel.
MARGIN_UNIT_DB, MARGIN_UNIT_M = 3.0, 1.524
# Of a group of adjoining sites, at most ROWS_PER_GROUP are among the first TOP_ROWS listed; the
# others are folded.
TOP_ROWS, ROWS_PER_GROUP = 20, 3


def rank_sites(facts: gpd.GeoDataFrame, plan: Plan) -> gpd.GeoDataFrame:
    """Judge and order the sites.

    The order is by call, worst score, known share, n_lo, smallest margin with the generators that
    the target load needs, and id. Numbers are rounded as the catalogue declares before they are
    compared, so that the order agrees with the numbers that are shown.

    Args:
        facts: The facts from screening, one row per site.
        plan: The plan.

    Returns:
        The ranking: one row per site, best first, with a new index.

    Raises:
        ConfigError: If no criterion has a weight.
        ContractError: If a column is not declared.
    """
    ranking = facts.copy()
    ranking["fuel_title"] = ranking["fuel"].map({one.id: one.title for one in plan_fuels(plan)})
    ranking["verdict"] = np.select(
        [ranking["n_lo"] >= 1, ranking["n_hi"] == 0], ["fit", "unfit"], "unknown"
    )
    ranking = _add_power(ranking, plan)
    add_scores(ranking, plan)
    ranking["smallest_slack"] = _smallest_margin(ranking, plan)
    target = _add_calls(ranking, plan)
    # What has been judged is judged by exact numbers; what is compared and shown is rounded.
    exact = ranking.drop(columns=["geometry", *catalogue.SHAPE_COLUMNS])
    ranking = round_facts(ranking)
    _add_texts(ranking, target, plan)
    order = _order_of(ranking)
    exact = pd.DataFrame(exact.loc[order])
    stability = measure_stability(exact, plan, TOP_ROWS)
    ranking = ranking.loc[order].reset_index(drop=True)
    ranking["stability"] = stability.round(2)
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
        *(name for name in ranking if str(name).startswith("call_")),
        "verdict", "call", "gap_class", "binding", "grid_evidence", "headroom_check",
        "fuel_evidence",
        "noise_evidence", "pad_evidence", "fuel", "n_lo", "n_hi",
    )  # fmt: skip
    return {
        name: {str(key): int(n) for key, n in ranking[name].value_counts().sort_index().items()}
        for name in columns
    }


def _add_power(ranking: gpd.GeoDataFrame, plan: Plan) -> gpd.GeoDataFrame:
    """Add the power of the generators that fit at each site, and the part of each load served."""
    machine_kw = ranking["machine_kw"]
    running = {end: (ranking[f"n_{end}"] - plan.spares).clip(lower=0) for end in ("lo", "hi")}
    columns: dict[str, pd.Series | np.ndarray] = {
        f"power_{end}_kw": count * machine_kw for end, count in running.items()
    }
    at_best = pd.Series(calls.most_at_best(ranking), ranking.index)
    for load_kw in plan.every_load_kw:
        tag = catalogue.load_column_tag(load_kw)
        few, many = (ranking[f"needed_{end}_at_{tag}"] for end in ("lo", "hi"))
        most = ranking[f"short_hi_at_{tag}"]
        fits = ranking[f"fits_at_{tag}"]
        served = (fits - plan.spares).clip(lower=0)
        columns |= {
            f"covers_at_{tag}": gap.classify_gap_cover(few, many, fits, at_best, most),
            f"served_at_{tag}": gap.power_served_kw(load_kw, most, served, machine_kw),
        }
    tag = catalogue.load_column_tag(plan.target_kw)
    columns |= {
        "power_served_kw": columns[f"served_at_{tag}"],
        "covers_gap": columns[f"covers_at_{tag}"],
        "needed_fuel_share": ranking[f"fuel_share_at_{tag}"],
    }
    return gpd.GeoDataFrame(ranking.join(pd.DataFrame(columns, index=ranking.index)))


def _smallest_margin(ranking: gpd.GeoDataFrame, plan: Plan) -> pd.Series:
    """Return the smallest margin with the generators needed, in generators.

    Negative where too few fit: how many are missing, of which the first by what it lacks.
    """
    needed = ranking["needed_hi"].clip(lower=1)
    running = (needed - plan.spares).clip(lower=1)
    margins = pd.DataFrame(
        {
            "noise": ranking["needed_margin_db"] / MARGIN_UNIT_DB,
            "pad": (ranking["pad_n"] - needed).astype(float),
            "fuel": running / ranking["needed_fuel_share"] - running,
        }
    )
    # The first generator lacks its excess at the quietest spot, whether or not it fits there.
    too_loud = np.fmax(ranking["noise_short_by_db"], -ranking["one_machine_margin_db"])
    lacking = pd.DataFrame(
        {
            "noise": too_loud.clip(lower=0) / MARGIN_UNIT_DB,
            "pad": np.fmax(ranking["pad_short_by_m"] / MARGIN_UNIT_M, ranking["pad_lack"]),
            "fuel": ranking["fuel_short_by"] / ranking["fuel_demand"],
        }
    )
    missing = needed - ranking["n_lo"]
    short = -(missing - 1 + lacking.max(axis=1).fillna(1.0))
    smallest: pd.Series = margins.min(axis=1).clip(lower=0.0).where(missing <= 0, short)
    return smallest


def _add_calls(ranking: gpd.GeoDataFrame, plan: Plan) -> Judgment:
    """Add the call for each load, and return the judgment of the target load."""
    sites = pd.DataFrame(ranking)
    judged = {load_kw: calls.judge_load(sites, plan, load_kw) for load_kw in plan.every_load_kw}
    for load_kw, judgment in judged.items():
        ranking[f"call_{load_kw:.12g}"] = judgment.call
        # Infinite where nobody hears them: then there is no margin to show.
        name = f"margin_at_{catalogue.load_column_tag(load_kw)}"
        ranking[f"{name}_db"] = ranking[name].where(np.isfinite(ranking[name]))
    target = judged[plan.target_kw]
    ranking["call"] = target.call
    ranking["largest_yes_kw"] = find_largest_yes_kw(sites, plan, judged)
    return target


def _add_texts(ranking: gpd.GeoDataFrame, target: Judgment, plan: Plan) -> None:
    rows = ranking.drop(columns=["geometry", *catalogue.SHAPE_COLUMNS]).to_dict("records")
    failing = _names_of_failing(target, len(ranking))
    asked = [
        list_checks(row, names, plan) if row["call"] == calls.CHECK else []
        for row, names in zip(rows, failing, strict=True)
    ]
    ranking["check_count"] = [len(texts) for texts in asked]
    ranking["checks"] = pd.Series(
        [
            join_checks(texts, is_first_step="contradiction" in names and row["needed_hi"] == 0)
            for texts, names, row in zip(asked, failing, rows, strict=True)
        ],
        ranking.index,
        dtype=object,
    )
    ranking["data_complete"] = [
        describe_data(row, names) for row, names in zip(rows, failing, strict=True)
    ]
    ranking["limit_text"] = [describe_limit(row, plan) for row in rows]
    ranking["lift_text"] = [describe_levers(row, plan) for row in rows]
    ranking["sentence"] = [write_sentence(row, plan) for row in rows]


def _names_of_failing(judged: Judgment, count: int) -> list[list[CallCheck]]:
    names = list(judged.fails)
    table = np.column_stack([judged.fails[name] for name in names])
    return [[names[nth] for nth in np.flatnonzero(table[row])] for row in range(count)]


def _order_of(ranking: gpd.GeoDataFrame) -> pd.Index:
    place = {name: number for number, name in enumerate(calls.CALLS)}
    keys = pd.DataFrame(
        {
            "call": ranking["call"].map(place),
            "score": -ranking["score"],
            "known_share": -ranking["known_share"],
            "n_lo": -ranking["n_lo"],
            "smallest_slack": -ranking["smallest_slack"],
            "site_id": ranking["site_id"],
        }
    )
    return keys.sort_values(list(keys.columns), kind="stable").index
