"""Natural gas by mains: what the mains within reach of a site can supply, and on what evidence.

Public data never show a main's spare capacity: `usable_share` is the plan's assumption.
"""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo.contract.columns import number_column, text_column
from geo.criteria.fuel.mains import (
    compute_free_capacity,
    describe_assumed_main,
    find_mains_in_reach,
)
from geo.criteria.fuel.supply import EDGE_OF_LAYER, NO_LAYER, empty_supply
from geo.model import Fuel, FuelEvidence, Generator, Plan
from geo.shapes.near import find_nearest, find_pairs_within, geometry_array, is_covered

KNOWN_MAIN: FuelEvidence = "main"
UNSIZED_MAIN: FuelEvidence = "main of unknown size"
SIGN_OF_MAIN: FuelEvidence = "sign of a main"
NO_MAIN: FuelEvidence = "no main"
NO_TERRITORY: FuelEvidence = "no territory"


@dataclass(frozen=True)
class PipedSupply:
    """What mains can supply at each site, and every main that could.

    Attributes:
        facts: The columns of SUPPLY_COLUMNS, one row per site.
        reach: One row per pair of a site and a main within reach, both by position: `distance_m`,
            the generators that the main can run (`n_lo`, `n_hi`), its free capacity in the fuel's
            unit (`capacity_lo`, `capacity_hi`, NaN where its size or class is not known), its
            `pressure_class` on record, and what is `assumed` about it, or None.
    """

    facts: pd.DataFrame
    reach: pd.DataFrame


def supply_from_mains(
    sites: gpd.GeoDataFrame,
    layers: dict[str, gpd.GeoDataFrame],
    coverage: dict[str, shapely.Geometry | None],
    fuel: Fuel,
    generator: Generator,
    plan: Plan,
    usable_share: float | None = None,
) -> PipedSupply:
    """Return the running generators that mains can supply at each site, worst and best case.

    For example, a 4 in main of schedule 40 steel at 60 psig carries 90 332 scfh over a mile. A
    quarter of it, 22 583 scfh, runs floor(22 583 / 2007.7) = 11 generators.

    Args:
        sites: The sites, in the market's metric CRS.
        layers: May hold `mains`, `gas_signs`, `gas_territories` and `gas_transmission`, in the
            same CRS.
        coverage: Where each layer is complete.
        fuel: The piped fuel.
        generator: The generator that burns it.
        plan: The plan, for its reaches, assumptions and cap.
        usable_share: Share of a main's flow that is free, in place of the plan's.

    Returns:
        The supply. Its fuel_n_lo and fuel_n_hi are the most that any main within reach can run, and
        the best case is the plan's cap where the reach extends beyond the layer; the named main is
        the nearest that can run that many; fuel_capacity is the capacity of that main that is
        certainly free, in the fuel's unit (NaN where not known); fuel_assumed is what the plan
        assumed about it, or None.

    Raises:
        ConfigError: If the catalogue gives no specific gravity for the fuel.
    """
    share = plan.fuel.usable_share if usable_share is None else usable_share
    shapes, signs = geometry_array(sites), geometry_array(layers.get("gas_signs"))
    sign_m = find_nearest(shapes, signs, plan.fuel.sign_reach_m)["distance_m"].to_numpy()
    facts = _describe_without_main(sites, layers, coverage, sign_m, plan)
    _assume_main_at_signs(facts, sign_m, fuel, generator, plan, share)
    reach = find_mains_in_reach(sites, layers.get("mains"), fuel, generator, plan, share)
    if len(reach):
        highest = reach.groupby("site")[["n_lo", "n_hi"]].max()
        site = highest.index.to_numpy()
        index = facts.index[site]
        # A better main may lie beyond the edge of the layer.
        covered = is_covered(shapes[site], coverage.get("mains"), plan.fuel.main_reach_m)
        facts.loc[index, "fuel_n_lo"] = highest["n_lo"].to_numpy()
        facts.loc[index, "fuel_n_hi"] = np.where(covered, highest["n_hi"], plan.cap)
        facts.loc[index, "fuel_evidence"] = np.where(
            _is_supplied_by_known_main(reach, highest), KNOWN_MAIN, UNSIZED_MAIN
        )
        running = facts["fuel_n_lo"].where(facts["fuel_n_lo"] > 0, facts["fuel_n_hi"]).to_numpy()
        chosen = _choose_main(reach, layers["mains"], running)
        _write_main(facts, reach, chosen, layers["mains"])
    return PipedSupply(facts, reach)


def name_serving_main(
    piped: PipedSupply,
    sites: gpd.GeoDataFrame,
    layers: dict[str, gpd.GeoDataFrame],
    running: np.ndarray,
    wanted: np.ndarray | None = None,
) -> pd.DataFrame:
    """Return a supply's facts with the main that would serve a given number of generators.

    That is the nearest main on record with the capacity that is wanted, else the nearest that
    certainly runs them, else the nearest that may, else the one with the most capacity. A site that
    runs none keeps the main that it had.

    For example, of a 2 in main 10 m away and an 8 in main 60 m away, the 2 in main serves one
    generator if it can run one, and the 8 in main serves ten.

    Args:
        piped: What mains can supply at the sites.
        sites: The sites.
        layers: The layers that the supply was computed from.
        running: Running generators at each site. Shape (n,).
        wanted: The free capacity that leaves them a margin, in the fuel's unit. Shape (n,). None:
            no margin is wanted.

    Returns:
        The facts of the supply, with the columns of the named main replaced.
    """
    facts = piped.facts.copy()
    if len(piped.reach):
        chosen, runs = np.full(len(sites), -1), np.asarray(running) >= 1
        chosen[runs] = _choose_main(piped.reach, layers["mains"], running, wanted)[runs]
        _write_main(facts, piped.reach, chosen, layers["mains"])
    return facts


def _describe_without_main(
    sites: gpd.GeoDataFrame,
    layers: dict[str, gpd.GeoDataFrame],
    coverage: dict[str, shapely.Geometry | None],
    sign_m: np.ndarray,
    plan: Plan,
) -> pd.DataFrame:
    """Return the facts of each site from all evidence other than a main within reach.

    `sign_m` is the distance to the nearest sign of a main, NaN where none is in reach.
    """
    shapes, facts, mapped = geometry_array(sites), empty_supply(sites), "mains" in layers
    covered = is_covered(shapes, coverage.get("mains"), plan.fuel.main_reach_m) & mapped
    has_sign = ~np.isnan(sign_m)
    in_territory = _is_near_layer(shapes, layers.get("gas_territories"), 0.0)
    outside = ~in_territory & is_covered(shapes, coverage.get("gas_territories"), 0.0)
    outside &= "gas_territories" in layers and not mapped
    lines = layers.get("gas_transmission")
    if lines is not None:
        status = text_column(lines, "status")
        # A line without a status counts as in service, since it is on the map.
        lines = lines[(status == "in_service") | pd.isna(status)]
    near_line = in_territory & _is_near_layer(shapes, lines, plan.fuel.transmission_reach_m)
    # The first rule that applies to a site gives its evidence.
    rules: tuple[tuple[np.ndarray, FuelEvidence], ...] = (
        (covered & has_sign, SIGN_OF_MAIN),
        (covered, NO_MAIN),
        (near_line, "territory and transmission line"),
        (in_territory, "territory"),
        (has_sign, SIGN_OF_MAIN),
        (outside, NO_TERRITORY),
    )
    facts.loc[:, "fuel_evidence"] = np.select(
        [applies for applies, _ in rules],
        [evidence for _, evidence in rules],
        EDGE_OF_LAYER if mapped else NO_LAYER,
    ).astype(object)
    unavailable = facts["fuel_evidence"].isin([NO_MAIN, NO_TERRITORY])
    facts["fuel_n_hi"] = np.where(unavailable, 0, plan.cap)
    facts["main_distance_m"] = np.where(facts["fuel_evidence"] == SIGN_OF_MAIN, sign_m, np.nan)
    return facts


def _is_near_layer(
    shapes: np.ndarray, layer: gpd.GeoDataFrame | None, reach_m: float
) -> np.ndarray:
    """Return for each shape whether any row of the layer is within reach."""
    is_near = np.zeros(len(shapes), dtype=bool)
    is_near[find_pairs_within(shapes, geometry_array(layer), reach_m)[0]] = True
    return is_near


def _assume_main_at_signs(
    facts: pd.DataFrame,
    sign_m: np.ndarray,
    fuel: Fuel,
    generator: Generator,
    plan: Plan,
    share: float,
) -> None:
    """Assume the plan's main where there is a sign of one, and write its facts."""
    main, has_sign = plan.assume.main_at_sign, ~np.isnan(sign_m)
    if main is None:
        return
    capacity = compute_free_capacity(
        np.array([main.diameter_in]),
        [np.array([main.pressure_class], dtype=object)] * 2,
        np.array([main.material], dtype=object),
        fuel,
        generator,
        plan,
        share,
    ).iloc[0]
    facts.loc[has_sign, "fuel_evidence"] = SIGN_OF_MAIN
    facts.loc[has_sign, "main_distance_m"] = sign_m[has_sign]
    facts.loc[has_sign, "fuel_n_lo"] = int(capacity["n_lo"])
    facts.loc[has_sign, "fuel_n_hi"] = int(capacity["n_hi"])
    facts.loc[has_sign, "fuel_capacity"] = capacity["capacity_lo"]
    facts.loc[has_sign, "fuel_assumed"] = f"likely gas main: {describe_assumed_main(main)}"


def _is_supplied_by_known_main(reach: pd.DataFrame, highest: pd.DataFrame) -> np.ndarray:
    """Return for each site in `highest` whether a main of known size runs the most generators.

    Where no main certainly runs a generator, the mains are compared by their best case.
    """
    on_record = reach["assumed"].isna() & reach["capacity_lo"].notna()
    known = reach[on_record].groupby("site")[["n_lo", "n_hi"]].max().reindex(highest.index)
    none = highest["n_lo"] == 0
    equal_at_worst = (known["n_lo"] == highest["n_lo"]) & ~none
    equal_at_best = (known["n_hi"] == highest["n_hi"]) & none
    return (equal_at_worst | equal_at_best).to_numpy(dtype=bool)


def _choose_main(
    reach: pd.DataFrame,
    mains: gpd.GeoDataFrame,
    running: np.ndarray,
    wanted: np.ndarray | None = None,
) -> np.ndarray:
    """Return the row of `reach` whose main would serve each site, -1 where none is in reach.

    Of equally near mains, the one with more capacity is chosen, then the one with the lower id.
    """
    site, needed = reach["site"].to_numpy(), np.asarray(running)[reach["site"]]
    certain = (reach["n_lo"] >= needed).to_numpy()
    possible = (reach["n_hi"] >= needed).to_numpy()
    lowest = reach["capacity_lo"].fillna(-1.0).to_numpy()
    ample = np.zeros(len(reach), dtype=bool)
    if wanted is not None:
        ample = certain & (lowest >= wanted[reach["site"]]) & reach["assumed"].isna().to_numpy()
    highest = reach["capacity_hi"].fillna(-1.0).to_numpy()
    _, id_order = np.unique(mains["main_id"].to_numpy(dtype=str), return_inverse=True)
    order = np.lexsort(
        (
            id_order[reach["main"]],
            -highest,
            -lowest,
            reach["distance_m"].to_numpy(),
            np.where(possible, 0.0, -lowest),
            np.select([ample, certain, possible], [0, 1, 2], 3),
            site,
        )
    )
    served, first = np.unique(site[order], return_index=True)
    chosen = np.full(len(running), -1)
    chosen[served] = order[first]
    return chosen


def _write_main(
    facts: pd.DataFrame, reach: pd.DataFrame, chosen: np.ndarray, mains: gpd.GeoDataFrame
) -> None:
    """Write the main of each site on its row, and what is assumed about it.

    What a site certainly runs may depend on another main of assumed size; the row then gives that
    assumption.
    """
    served = chosen >= 0
    pairs = reach.iloc[chosen[served]]
    rows, index = mains.iloc[pairs["main"]], facts.index[served]
    for name, values in (
        ("main_id", text_column(rows, "main_id")),
        ("main_distance_m", pairs["distance_m"].to_numpy()),
        ("main_diameter_in", number_column(rows, "diameter_in")),
        ("main_pressure_class", text_column(pairs, "pressure_class")),
        ("main_pressure_kpa", number_column(pairs, "pressure_kpa")),
        ("main_material", text_column(rows, "material")),
        ("main_source", text_column(rows, "source_id")),
        ("fuel_capacity", pairs["capacity_lo"].to_numpy()),
    ):
        facts.loc[index, name] = values
    certain_n = facts["fuel_n_lo"].to_numpy()[reach["site"]]
    sufficient = reach[(reach["n_lo"] >= certain_n).to_numpy()]
    on_record = np.zeros(len(facts), dtype=bool)
    on_record[sufficient.loc[sufficient["assumed"].isna(), "site"]] = True
    assumed_elsewhere = np.full(len(facts), None, dtype=object)
    assumed_elsewhere[sufficient["site"]] = text_column(sufficient, "assumed")
    own = text_column(pairs, "assumed")
    use_other = pd.isna(own) & ~on_record[served]
    facts.loc[index, "fuel_assumed"] = np.where(use_other, assumed_elsewhere[served], own)
