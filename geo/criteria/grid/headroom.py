"""What a capacity record leaves: firm less peak less committed, or what was published.

Power factors, ceilings, and what is off the figure already are the record's own where it gives
them. An answer is a span: `lo` is -inf where nothing bounds it from below, `hi` inf from above.
"""

import numpy as np
import pandas as pd

from geo.contract.columns import number_column
from geo.model import GridPlan

KW_PER_MW = 1000.0
NUMBER_COLUMNS = (
    "headroom_kw", "headroom_mva", "headroom_share", "ceiling_kw", "firm_capacity_mva",
    "bank_count", "nameplate_mva", "largest_bank_mva", "rating_a", "peak_a", "voltage_kv",
    "peak_load_mva", "committed_load_mva", "power_factor",
)  # fmt: skip


def compute_headroom(records: pd.DataFrame, plan: GridPlan) -> pd.DataFrame:
    """Return what each record leaves, in kW, one row a record, in their order and index.

    Columns: `stated_kw` (NaN where nothing is known), `lo_kw` and `hi_kw` (the span that the
    record allows), `basis` (how it is known), `power_factor`. A record that does not say what is
    committed only bounds from above; one at its ceiling only from below.

    Worked: firm 20, peak 16, committed 3 MVA at power factor 0.95: 950 kW. Two banks of 20 MVA
    with a peak of 16: firm 20 (N-1), 3800 kW; at best, at 1.3 times its nameplate, 9500. One bank
    alone: nothing is firm.
    """
    held = {name: _number_series(records, name) for name in NUMBER_COLUMNS}
    factor = held["power_factor"].fillna(plan.power_factor)
    kw_per_mva = KW_PER_MW * factor
    amps_to_mva = np.sqrt(3.0) * held["voltage_kv"] / 1000.0
    by_banks = firm_capacity_of_banks_mva(held, plan.cyclic_factor)
    at_best = firm_capacity_of_banks_mva(held, plan.cyclic_factor_most)
    rated = held["firm_capacity_mva"].fillna(held["rating_a"] * amps_to_mva)
    firm = rated.fillna(by_banks)
    peak = held["peak_load_mva"].fillna(held["peak_a"] * amps_to_mva)
    ways = (
        ("published", held["headroom_kw"]),
        ("published", held["headroom_mva"] * kw_per_mva),
        ("share of firm", held["headroom_share"] * firm * kw_per_mva),
        ("firm less peak", (rated - peak) * kw_per_mva),
        ("N-1 of the banks less peak", (by_banks - peak) * kw_per_mva),
    )
    stated = pd.Series(np.nan, index=records.index)
    basis = pd.Series([None] * len(records), index=records.index, dtype=object)
    for name, values in ways:
        basis[stated.isna() & values.notna()] = name
        stated = stated.fillna(values)
    published = basis.isin(["published", "share of firm"])
    by_n_1 = basis == "N-1 of the banks less peak"
    most = stated.where(~by_n_1, (at_best - peak) * kw_per_mva)
    at_ceiling = published & (stated >= held["ceiling_kw"])
    included = _boolean_series(records, "committed_included")
    committed = held["committed_load_mva"].where(~included, 0.0)
    open_ended = committed.isna() & stated.notna()
    less = committed.fillna(0.0) * kw_per_mva
    stated, most = stated - less, most - less
    return pd.DataFrame(
        {
            "stated_kw": stated,
            "lo_kw": stated.where(stated.notna() & ~open_ended, -np.inf),
            "hi_kw": most.where(stated.notna() & ~at_ceiling, np.inf),
            "basis": basis,
            "power_factor": factor.where(basis.notna() & held["headroom_kw"].isna()),
        },
        index=records.index,
    )


def compute_hosting(records: pd.DataFrame, plan: GridPlan) -> pd.DataFrame:
    """Return the generation that each record says the grid would take: columns as `headroom` has.

    As published alone: a rating less a load says nothing of generation.

    Worked: 3000 kW published with a ceiling of 3000 kW: 3000 kW or more.
    """
    held = {name: _number_series(records, name) for name in NUMBER_COLUMNS}
    factor = held["power_factor"].fillna(plan.power_factor)
    stated = held["headroom_kw"].fillna(held["headroom_mva"] * KW_PER_MW * factor)
    at_ceiling = stated >= held["ceiling_kw"]
    return pd.DataFrame(
        {
            "stated_kw": stated,
            "lo_kw": stated.fillna(-np.inf),
            "hi_kw": stated.where(stated.notna() & ~at_ceiling, np.inf),
            "basis": np.where(stated.notna(), "published", np.array(None, dtype=object)),
            "power_factor": factor.where(held["headroom_kw"].isna()),
        },
        index=records.index,
    )


def firm_capacity_of_banks_mva(held: dict[str, pd.Series], cyclic_factor: float) -> pd.Series:
    """Return the firm capacity (MVA) of transformer banks: what is left with the largest one out.

    Where the largest is not known, all are taken as alike: (n - 1) / n of the nameplate. What is
    left carries `cyclic_factor` times its nameplate. (N-1 as the UK networks define firm
    capacity: UK Power Networks, "primary-substation-headroom".)

    Worked: three banks, 60 MVA together, none larger than 20: 40 MVA. One bank: 0.
    """
    count, together = held["bank_count"], held["nameplate_mva"]
    alike = together * (count - 1) / count.where(count >= 1)
    left = (together - held["largest_bank_mva"]).fillna(alike)
    firm: pd.Series = left.clip(lower=0.0) * cyclic_factor
    return firm


def _number_series(records: pd.DataFrame, name: str) -> pd.Series:
    return pd.Series(number_column(records, name), index=records.index)


def _boolean_series(records: pd.DataFrame, name: str) -> pd.Series:
    """Return a truth that counts as no where it is not said."""
    if name not in records:
        return pd.Series(False, index=records.index)
    return records[name].astype("boolean").fillna(value=False).astype(bool)
