"""Turn facts into opinions: verdict, score with worst and best, call, and the order of the sites.

A site's score moves only when its own facts or the plan move: scores are straight ramps in real
units, never relative to the other sites.
"""

import geopandas as gpd
import numpy as np
import pandas as pd

from geo import block, catalogue, sentence
from geo.criteria.noise import rules
from geo.criteria.noise.sound import power_dba
from geo.errors import ConfigError
from geo.model import CRITERIA, Generator, Market, Plan, Ramp, Screening
from geo.screen import absent, fuels_of, generator_of, noise_rule

VERDICTS = ("fit", "unknown", "unfit")
# What one machine more needs, roughly, in each criterion's unit: makes slacks comparable.
SLACK_UNIT_DB, SLACK_UNIT_M = 3.0, 1.524
HIGH, MEDIUM = 0.85, 0.5
# Of one block of adjoining sites, so many stand among the first TOP listed; the others are folded.
TOP, PER_GROUP = 20, 3


def rank(facts: gpd.GeoDataFrame, plan: Plan) -> gpd.GeoDataFrame:
    """Judge and order the sites: the ranking, one row per site, best first, RangeIndex.

    Order: verdict, worst score, known share, power served, n_lo, smallest slack, id. Numbers are
    rounded as the catalogue says before they are compared, so that the list sorts as it reads.
    """
    generator = generator_of(plan)
    ranking = facts.copy()
    ranking["fuel_title"] = ranking["fuel"].map({one.id: one.title for one in fuels_of(plan)})
    ranking["verdict"] = np.select(
        [ranking["n_lo"] >= 1, ranking["n_hi"] == 0], ["fit", "unfit"], "unknown"
    )
    _power(ranking, generator, plan)
    _scores(ranking, plan)
    ranking["smallest_slack"] = _smallest_slack(ranking)
    ranking = rounded(ranking)
    _words(ranking, plan)
    ranking = _ordered(ranking)
    ranking["rank"] = np.arange(1, len(ranking) + 1)
    ranking["folded"] = folded(ranking["group_id"])
    names = [fact.name for fact in catalogue.facts()]
    shapes = ["geometry", *catalogue.SHAPES]
    kept = [name for name in names if name in ranking.columns]
    return gpd.GeoDataFrame(ranking[kept + shapes], geometry="geometry", crs=facts.crs)


def folded(group: pd.Series) -> np.ndarray:
    """Say for each site, best first, whether a list folds it beneath its block of adjoining sites.

    `group` (n,) names each site's block. Until TOP sites are listed, those of a block that has
    PER_GROUP among them are folded; after that none is.

    Worked: of blocks a, a, b, a, a, c the second last, a fourth of a, is folded.
    """
    more = group.groupby(group).cumcount().to_numpy() >= PER_GROUP
    return np.asarray(more & (np.cumsum(~more) < TOP))


def beneath(ranking: pd.DataFrame) -> np.ndarray:
    """Return how many folded sites each site of a ranking (n,) has beneath it.

    They stand beneath the last of their block that is listed before them.
    """
    away = ranking["folded"].to_numpy(dtype=bool)
    place = pd.Series(np.where(away, np.nan, np.arange(len(ranking))), index=ranking.index)
    last = place.groupby(ranking["group_id"]).ffill().to_numpy()
    return np.bincount(last[away].astype(int), minlength=len(ranking))


def rounded(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Round every fact to the decimals that the catalogue gives it."""
    decimals = {
        fact.name: fact.decimals
        for fact in catalogue.facts()
        if fact.decimals is not None and fact.name in frame.columns
    }
    frame = frame.copy()
    for name, places in decimals.items():
        # Adding 0.0 turns -0.0 into 0.0, which would print as "-0.0".
        frame[name] = pd.to_numeric(frame[name]).round(places) + 0
    return frame


def counts(ranking: gpd.GeoDataFrame) -> dict[str, dict[str, int]]:
    """Count the ranking by each opinion and evidence, and by how many machines the sites carry."""
    columns = (
        "verdict", "call", "gap_class", "binding", "grid_evidence", "fuel_evidence",
        "noise_evidence", "pad_evidence", "fuel", "n_lo", "n_hi",
    )  # fmt: skip
    return {
        name: {str(key): int(n) for key, n in ranking[name].value_counts().sort_index().items()}
        for name in columns
    }


def first_lines(given: Screening, market: Market, plan: Plan) -> tuple[str, ...]:
    """Say what a reader must know before the first row."""
    lines = [market.note] if market.note else []
    missing = absent(given, plan)
    if "grid" in missing:
        lines.append("Grid capacity is not published here: ranked on siting only.")
    if "fuel" in missing:
        lines.append("No gas mains are mapped here: fuel weighs nothing.")
    if "noise" in missing:
        lines.append("No neighbours are mapped here: noise is not known anywhere.")
    if plan.pad.exclusions and "exclusions" not in given.layers:
        lines.append("No flood zones or wetland are mapped here: none was kept clear of.")
    if plan.pad.slope_most is not None and "elevation" not in given.rasters:
        lines.append(
            "No ground heights are mapped here: how steep the ground is was not looked at."
        )
    unread = int(given.sites["setback_front_m"].isna().sum())
    if unread:
        lines.append(
            f"The zoning text of {unread:,} of {len(given.sites):,} sites was not read: their "
            "setbacks are the plan's assumption."
        )
    if "buildings" not in given.layers:
        lines.append(
            "No building footprints here: the fit was tested against the bare parcel, and nothing "
            "screens the sound."
        )
    else:
        heights = given.layers["buildings"]["height_m"]
        if heights.isna().any():
            lines.append(
                f"{heights.isna().sum():,} of {len(heights):,} buildings near sites have no height "
                "on record: they screen no sound."
            )
    lines.append(f"Noise is held to {noise_rule(market, plan)}.")
    rule = rules.rule_of(market)
    relative = rule is not None and any(row.above_ambient_db is not None for row in rule.limits)
    if relative and "ambient" not in given.rasters and plan.assume.ambient_dba is None:
        lines.append(
            "The local noise limit rests on the ambient level, which is not published here: what a "
            "site carries is a bound until somebody measures it."
        )
    return tuple(lines)


def assumptions(market: Market, plan: Plan) -> tuple[str, ...]:
    """List what the plan takes as given, for the reader."""
    machine = generator_of(plan)
    noise, ground, rule = plan.noise, plan.noise.ground, rules.rule_of(market)
    factors = (
        f"ground factors {ground.source:g}, {ground.middle:g} and {ground.receiver:g} "
        "(0 hard, 1 porous)"
        if noise.ground_method == "7.3.1"
        else "porous ground by mean height (7.3.2)"
    )
    lines = [
        (
            f"{machine.title}: {machine.power_kw:g} kW, {machine.level_dba:g} dB(A) at "
            f"{machine.level_distance_m:g} m ({machine.source})"
        ),
        (
            f"Sound power {power_dba(machine):.1f} dB(A), spread over octaves as "
            f"{catalogue.spectra()[machine.spectrum].title}; "
            f"{catalogue.spectra()[machine.spectrum].source}."
        ),
        (
            f"Noise by ISO 9613-2:{noise.edition}, downwind, {noise.temperature_c:g} C and "
            f"{noise.humidity_pct:g} % humidity, {factors}; machines "
            f"{noise.source_height_m:g} m high, heard {noise.receptor_height_m:g} m above the "
            f"ground at lot lines and {noise.facade_height_m:g} m at facades; walls give back "
            f"{1 - noise.wall_absorption:.0%}. The standard's own accuracy is 3 dB; "
            "conformity.html beside this map holds the program to the standard's test cases."
        ),
        *([f"{rule.title}: {rule.note} ({rule.source})."] if rule is not None else []),
        (
            f"{plan.fuel.usable_share:.0%} of what a gas main carries when empty is taken to be "
            "free; public data cannot show spare capacity."
        ),
        *_on_the_ground(plan),
        f"MVA count as MW at power factor {plan.grid.power_factor:g}.",
        f"Derated to {plan.derate:.0%} of {machine.power_kw:g} kW; {plan.spares} spares.",
        (
            f"Stored fuel scores like a main {plan.fuel.storage_as_far_as_m:g} m away; up to "
            f"{plan.fuel.containers_most} tanks stand side by side."
        ),
        *_stored(plan),
    ]
    taken = plan.assume
    if taken.main_at_sign is not None:
        main = taken.main_at_sign
        lines.append(
            f"Where leaks or stations show a gas main: {main.diameter_in:g} in, "
            f"{main.pressure_class} pressure."
        )
    if taken.main_size is not None:
        main = taken.main_size
        lines.append(
            f"Where a main's size or class is missing: {main.diameter_in:g} in, "
            f"{main.pressure_class} pressure."
        )
    if taken.bare_parcel:
        lines.append("Where buildings are not mapped, none stands in the way.")
    if taken.own_dwelling_at_m is not None:
        lines.append(f"Homes on a site itself stand {taken.own_dwelling_at_m:g} m from the pad.")
    if taken.ambient_dba is not None:
        lines.append(f"Where the ambient level is not known: {taken.ambient_dba:g} dB(A).")
    lines += [f"Lever, {lever.title}: {lever.source}" for lever in plan.levers.values()]
    return tuple(lines)


def _on_the_ground(plan: Plan) -> list[str]:
    """Say what is assumed of the ground, and of how machines stand on it."""
    machine, pad = generator_of(plan), plan.pad
    pressure = machine.mass_kg / (machine.length_m * machine.width_m)
    yards = [
        f"{zone} zones {one.front_m:.1f} m in front, {one.side_m:.1f} beside, {one.rear_m:.1f} "
        f"behind, {one.home_m:.1f} next to homes"
        for zone, one in sorted(pad.setbacks.items())
    ]
    lines = [
        (
            f"Setbacks where the zoning text was not read, assumed: {'; '.join(yards)}. Where it "
            f"was, as it asks of a structure that is {pad.structure}."
        ),
        (
            f"{pad.building_clearance_m:g} m to buildings (NFPA 37, openings and combustible "
            f"walls); aisles of {pad.service_m:g} m, and of "
            f"{block.electrical_m(machine, plan):g} m at the electrical ends (NEC 110.26, "
            f"{machine.volts_to_ground:g} V to ground, condition {pad.electrical_condition})."
        ),
        (
            f"{machine.mass_kg:g} kg on {machine.length_m * machine.width_m:.2f} m2: "
            f"{pressure:.0f} kg/m2. Machines stand on the ground; roofs are not screened."
        ),
    ]
    if machine.gear is not None:
        lines.append(
            f"A cabinet stands in a machine's place for every {machine.gear.machines} machines. "
            f"{machine.gear.source}."
        )
    if pad.slope_most is not None:
        lines.append(f"Ground steeper than {pad.slope_most:.0%} is left alone.")
    return lines


def _stored(plan: Plan) -> list[str]:
    """Say what is assumed of each stored fuel of the plan."""
    lines = []
    for one in fuels_of(plan):
        if one.delivery == "storage":
            rule = catalogue.separations()[plan.fuel.separation[one.id]]
            boils = plan.fuel.vaporiser and one.storage_unit == "gal"
            lines.append(
                f"{one.title.capitalize()} lasts {plan.fuel.autonomy_days[one.id]:g} days between "
                f"deliveries{', through a vaporiser' if boils else ''}; kept clear by "
                f"{rule.title} of {rule.edition}. {rule.source}."
            )
    return lines


def ramp(values: pd.Series, line: Ramp) -> pd.Series:
    """Return 0 at `zero_at`, 1 at `one_at`, straight between and flat beyond. NaN stays NaN.

    Worked: zero at 120 m, one at 0 m: 30 m scores 0.75.
    """
    return ((values - line.zero_at) / (line.one_at - line.zero_at)).clip(0, 1)


def _power(ranking: gpd.GeoDataFrame, generator: Generator, plan: Plan) -> None:
    each = generator.power_kw * plan.derate
    for end in ("lo", "hi"):
        running = (ranking[f"n_{end}"] - plan.spares).clip(lower=0)
        ranking[f"power_{end}_kw"] = running * each
    by_grid = plan.target_kw - ranking["shortfall_hi_kw"]
    ranking["power_served_kw"] = (by_grid + ranking["power_lo_kw"]).clip(upper=plan.target_kw)
    ranking["covers_gap"] = np.select(
        [
            ranking["gap_class"] == "covered",
            (ranking["n_lo"] >= ranking["needed_hi"]),
            (ranking["n_hi"] < ranking["needed_lo"]),
        ],
        ["no gap", "yes", "no"],
        "not known",
    )


def _scores(ranking: gpd.GeoDataFrame, plan: Plan) -> None:
    worst, best = {}, {}
    if plan.grid.goal == "bridge":
        closed = [
            ranking[[f"shortfall_{end}_kw", f"power_{end}_kw"]].min(axis=1) / plan.target_kw
            for end in ("lo", "hi")
        ]
        worst["grid"], best["grid"] = (ramp(share, plan.score.grid) for share in closed)
    else:
        known = ranking["load_headroom_kw"].where(~ranking["headroom_is_bound"])
        score = ramp(known, plan.score.grid)
        worst["grid"], best["grid"] = score.fillna(0.0), score.fillna(1.0)
    stored = ranking["fuel_evidence"] == "storage"
    away = ranking["main_distance_m"].where(~stored, plan.fuel.storage_as_far_as_m)
    reached = ramp(away, plan.score.fuel)
    worst["fuel"] = reached.where(ranking["fuel_n_lo"] > 0, 0.0)
    best["fuel"] = reached.fillna(1.0).where(ranking["fuel_n_hi"] > 0, 0.0)
    bare = ranking["bare"]
    ground = ranking["ground_area_m2"]
    # On a bare parcel the record of floor area and storeys still bounds the ground.
    ground = ground.where(~bare, np.fmin(ground, ranking["open_area_m2"]))
    best["pad"] = ramp(ground, plan.score.pad)
    worst["pad"] = best["pad"].where(ranking["pad_lo"] == ranking["pad_n"], 0.0)
    worst["noise"] = ramp(ranking["margin_worst_db"], plan.score.noise)
    best["noise"] = ramp(ranking["margin_best_db"], plan.score.noise)

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
    """Return the least slack in units of roughly one machine; below 0, what the first one lacks."""
    units = {"noise": SLACK_UNIT_DB, "pad": SLACK_UNIT_M, "fuel": ranking["fuel_demand"]}
    slack = pd.DataFrame(
        {
            "noise": ranking["noise_slack_db"] / units["noise"],
            "pad": ranking["pad_slack_m"] / units["pad"],
            "fuel": ranking["fuel_slack"] / units["fuel"],
        }
    )
    # The first one lacks what it is over at the quietest spot, whether or not ground is there.
    too_loud = np.fmax(ranking["noise_short_by_db"], -ranking["one_machine_margin_db"])
    lacking = pd.DataFrame(
        {
            "noise": too_loud.clip(lower=0) / units["noise"],
            "pad": np.fmax(ranking["pad_short_by_m"] / units["pad"], ranking["pad_lack"]),
            "fuel": ranking["fuel_short_by"] / units["fuel"],
        }
    )
    return slack.min(axis=1).where(ranking["n_lo"] > 0, -lacking.max(axis=1))


def _words(ranking: gpd.GeoDataFrame, plan: Plan) -> None:
    gap_matters = "grid" not in str(ranking["weightless"].iloc[0]).split()
    assumed = ranking["assumed"].notna()
    short = (ranking["gap_class"] == "short") | (not gap_matters)
    reached = ranking["access"] == "reached"
    ranking["call"] = np.select(
        [
            (ranking["verdict"] == "unfit") | (ranking["gap_class"] == "covered"),
            (ranking["verdict"] == "fit") & short & ~assumed & reached,
        ],
        ["no", "yes"],
        "check first",
    )
    grade = np.select(
        [(ranking["known_share"] >= HIGH) & ~assumed, ranking["known_share"] >= MEDIUM],
        ["high", "medium"],
        "low",
    )
    share = (100 * ranking["known_share"]).round().astype(int).astype(str)
    ranking["confidence"] = [
        f"{word} ({percent} % known{', with assumptions' if taken else ''})"
        for word, percent, taken in zip(grade, share, assumed, strict=True)
    ]
    rows = ranking.drop(columns=["geometry", *catalogue.SHAPES]).to_dict("records")
    ranking["limit_text"] = [sentence.limit(row, plan) for row in rows]
    ranking["lift_text"] = [sentence.lift(row, plan) for row in rows]
    ranking["sentence"] = [sentence.sentence(row, plan) for row in rows]


def _ordered(ranking: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
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
