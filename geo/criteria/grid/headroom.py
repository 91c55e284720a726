"""Compute the headroom of a capacity record: firm less peak less committed, or as published.

A record's own power factor, ceiling and committed load are used where it gives them. An answer is
a range: `lo_kw` is -inf where nothing bounds it from below, `hi_kw` is inf where nothing bounds it
from above.
"""

import numpy as np
import pandas as pd

from geo.contract.columns import number_column
from geo.model import GridPlan, HeadroomBasis

KW_PER_MW = 1000.0
NUMBER_COLUMNS = (
    "headroom_kw", "headroom_least_kw", "headroom_most_kw", "headroom_mva", "headroom_least_mva",
    "headroom_most_mva", "headroom_share", "ceiling_kw", "firm_capacity_mva", "bank_count",
    "nameplate_mva", "largest_bank_mva", "rating_a", "peak_a", "voltage_kv", "peak_load_mva",
    "committed_load_mva", "power_factor",
)  # fmt: skip


def compute_headroom(records: pd.DataFrame, plan: GridPlan) -> pd.DataFrame:
    """Compute the load headroom of each record (kW), one row per record.

    A record that does not give its committed load, or only the high end of a range, bounds the
    headroom from above only. A record at its publisher's ceiling, or with only the low end of a
    range, bounds it from below only.

    A firm capacity of 20 MVA, a peak of 16 and a committed load of 3 at power factor 0.95 leave
    950 kW:

    >>> record = {"firm_capacity_mva": [20.0], "peak_load_mva": [16.0], "committed_load_mva": [3.0]}
    >>> plan = GridPlan(feeder_reach_m=100, substation_reach_m=5000, power_factor=0.95)
    >>> headroom = compute_headroom(pd.DataFrame(record), plan)
    >>> headroom[["lo_kw", "hi_kw"]].round().values.tolist()
    [[950.0, 950.0]]

    Two banks of 20 MVA with a peak of 16 MVA have a firm capacity of 20 MVA (N-1): 3800 kW, or
    9500 kW where the remaining bank may carry 1.3 times its nameplate. Of a single bank the firm
    capacity is not known, since N-1 would leave none: the headroom is at most its nameplate less
    peak.

    Returns:
        Columns `stated_kw` (NaN where nothing is known), `lo_kw` and `hi_kw` (the range that the
        record allows), `basis`, `power_factor`, and `factor_assumed` (1 where the power factor that
        converts MVA is the plan's), with the index of `records`.
    """
    values = {name: _number_series(records, name) for name in NUMBER_COLUMNS}
    factor = values["power_factor"].fillna(plan.power_factor)
    kw_per_mva = KW_PER_MW * factor
    amps_to_mva = np.sqrt(3.0) * values["voltage_kv"] / 1000.0
    one_bank_mva = values["nameplate_mva"].where(_is_single_bank(values))
    bank_firm_mva = firm_capacity_of_banks_mva(values, plan.cyclic_factor)
    bank_firm_best_mva = firm_capacity_of_banks_mva(values, plan.cyclic_factor_most)
    rated_mva = values["firm_capacity_mva"].fillna(values["rating_a"] * amps_to_mva)
    firm_mva = rated_mva.fillna(bank_firm_mva)
    peak_mva = values["peak_load_mva"].fillna(values["peak_a"] * amps_to_mva)
    published = _read_published_kw(values, kw_per_mva)
    # The first of these that a record gives is its headroom.
    methods: tuple[tuple[HeadroomBasis, pd.Series], ...] = (
        ("published", published["stated_kw"]),
        ("share of firm", values["headroom_share"] * firm_mva * kw_per_mva),
        ("firm less peak", (rated_mva - peak_mva) * kw_per_mva),
        ("N-1 of the banks less peak", (bank_firm_mva - peak_mva) * kw_per_mva),
        ("nameplate of one bank less peak", (one_bank_mva - peak_mva) * kw_per_mva),
    )
    stated = pd.Series(np.nan, index=records.index)
    basis = pd.Series([None] * len(records), index=records.index, dtype=object)
    for name, headroom_kw in methods:
        basis[stated.isna() & headroom_kw.notna()] = name
        stated = stated.fillna(headroom_kw)
    by_banks = basis == "N-1 of the banks less peak"
    by_record = basis == "published"
    highest = stated.where(~by_banks, (bank_firm_best_mva - peak_mva) * kw_per_mva)
    lowest = stated.where(~by_record, published["lo_kw"])
    highest = highest.where(~by_record, published["hi_kw"])
    at_ceiling = (by_record | (basis == "share of firm")) & (stated >= values["ceiling_kw"])
    already_deducted = _boolean_series(records, "committed_included")
    committed_mva = values["committed_load_mva"].where(~already_deducted, 0.0)
    committed_unknown = committed_mva.isna() & stated.notna()
    committed_kw = committed_mva.fillna(0.0) * kw_per_mva
    one_bank = basis == "nameplate of one bank less peak"
    stated, lowest, highest = (one - committed_kw for one in (stated, lowest, highest))
    return pd.DataFrame(
        {
            "stated_kw": stated,
            "lo_kw": lowest.where(stated.notna() & ~committed_unknown & ~one_bank, -np.inf),
            "hi_kw": highest.where(stated.notna() & ~at_ceiling, np.inf),
            "basis": basis,
            "power_factor": factor.where(basis.notna() & ~published["in_kw"]),
            "factor_assumed": (
                values["power_factor"].isna()
                & stated.notna()
                & (~published["in_kw"] | (committed_kw != 0))
            ).astype(float),
        },
        index=records.index,
    )


def compute_hosting(records: pd.DataFrame, plan: GridPlan) -> pd.DataFrame:
    """Compute the generation that each record says the grid can take (kW).

    Only a published value counts: a rating less a load gives no information on generation.

    3000 kW published with a ceiling of 3000 kW means 3000 kW or more:

    >>> record = pd.DataFrame({"headroom_kw": [3000.0], "ceiling_kw": [3000.0]})
    >>> plan = GridPlan(feeder_reach_m=100, substation_reach_m=5000, power_factor=0.95)
    >>> compute_hosting(record, plan)[["lo_kw", "hi_kw"]].values.tolist()
    [[3000.0, inf]]

    Returns:
        The columns of `compute_headroom`, with the index of `records`.
    """
    values = {name: _number_series(records, name) for name in NUMBER_COLUMNS}
    factor = values["power_factor"].fillna(plan.power_factor)
    published = _read_published_kw(values, KW_PER_MW * factor)
    stated = published["stated_kw"]
    at_ceiling = stated >= values["ceiling_kw"]
    return pd.DataFrame(
        {
            "stated_kw": stated,
            "lo_kw": published["lo_kw"],
            "hi_kw": published["hi_kw"].where(~at_ceiling, np.inf),
            "basis": np.where(stated.notna(), "published", np.array(None, dtype=object)),
            "power_factor": factor.where(~published["in_kw"]),
            "factor_assumed": (
                values["power_factor"].isna() & ~published["in_kw"] & stated.notna()
            ).astype(float),
        },
        index=records.index,
    )


def _read_published_kw(values: dict[str, pd.Series], kw_per_mva: pd.Series) -> pd.DataFrame:
    """Return the published headroom: a number, else a range of which one end may be open.

    Returns:
        `stated_kw` (the number, else the low end, else the high end), `lo_kw` (-inf where nothing
        is published, or the low end is open), `hi_kw` (inf), and `in_kw`, whether it is in kW.
    """
    in_kw = values["headroom_kw"].notna()
    exact_kw = values["headroom_kw"].fillna(values["headroom_mva"] * kw_per_mva)
    ends = {}
    for end in ("least", "most"):
        own_kw = values[f"headroom_{end}_kw"]
        in_kw |= exact_kw.isna() & own_kw.notna()
        ends[end] = exact_kw.fillna(own_kw.fillna(values[f"headroom_{end}_mva"] * kw_per_mva))
    return pd.DataFrame(
        {
            "stated_kw": ends["least"].fillna(ends["most"]),
            "lo_kw": ends["least"].fillna(-np.inf),
            "hi_kw": ends["most"].fillna(np.inf),
            "in_kw": in_kw,
        }
    )


def firm_capacity_of_banks_mva(values: dict[str, pd.Series], cyclic_factor: float) -> pd.Series:
    """Return the firm capacity (MVA) of transformer banks: what remains with the largest one out.

    Where the largest bank is not known, all banks count as equal: (n - 1) / n of the nameplate.
    The remaining banks carry `cyclic_factor` times their nameplate. (N-1 as the UK networks define
    firm capacity: UK Power Networks, "primary-substation-headroom".) Of a single bank, NaN.

    Three banks of 60 MVA in total, none larger than 20, leave 40 MVA.

    >>> banks = {"bank_count": [3.0, 1.0], "nameplate_mva": [60.0, 20.0]}
    >>> banks = {name: pd.Series(column) for name, column in banks.items()}
    >>> banks["largest_bank_mva"] = pd.Series([20.0, np.nan])
    >>> firm_capacity_of_banks_mva(banks, cyclic_factor=1.0).tolist()
    [40.0, nan]
    """
    count, nameplate_mva = values["bank_count"], values["nameplate_mva"]
    if_equal_mva = nameplate_mva * (count - 1) / count.where(count >= 1)
    remaining_mva = (nameplate_mva - values["largest_bank_mva"]).fillna(if_equal_mva)
    firm_mva: pd.Series = remaining_mva.clip(lower=0.0) * cyclic_factor
    return firm_mva.where(~_is_single_bank(values))


def _is_single_bank(values: dict[str, pd.Series]) -> pd.Series:
    """Return which records have a single transformer bank, by their number or by its size."""
    is_all = values["largest_bank_mva"] >= values["nameplate_mva"]
    return (values["bank_count"] == 1) | (values["bank_count"].isna() & is_all)


def _number_series(records: pd.DataFrame, name: str) -> pd.Series:
    return pd.Series(number_column(records, name), index=records.index)


def _boolean_series(records: pd.DataFrame, name: str) -> pd.Series:
    """Return a column of booleans; a missing value or column counts as false."""
    if name not in records:
        return pd.Series(False, index=records.index)
    return records[name].astype("boolean").fillna(value=False).astype(bool)
