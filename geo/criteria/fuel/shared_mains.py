"""The gas that is left of each main where several sites share it."""

import numpy as np
import pandas as pd


def gas_left_of_mains(ranking: pd.DataFrame, spares: int) -> pd.DataFrame:
    """Return the gas that is left of each site's main after higher-ranked sites take theirs.

    A site takes what the generators burn that it needs for the target load, but no more than fit
    there for sure. Spares do not run.

    Three sites share a main with 9000 scfh to spare. Each needs 2 generators of 2000 scfh, so that
    9000, 5000 and 1000 scfh are left for them:

    >>> facts = {"main_id": "M1", "main_source": "pipes", "fuel_capacity": 9000.0}
    >>> facts |= {"fuel_demand": 2000.0, "n_lo": 4, "needed_hi": 2}
    >>> left = gas_left_of_mains(pd.DataFrame(facts, index=range(3)), spares=0)
    >>> left.values.tolist()
    [[3.0, 9000.0, 4.0], [3.0, 5000.0, 2.0], [3.0, 1000.0, 0.0]]

    Args:
        ranking: Sites, best first: main_id (None where no main serves the site), main_source,
            fuel_capacity (what the main can spare, NaN where not known), fuel_demand, n_lo and
            needed_hi.
        spares: Installed generators that do not run.

    Returns:
        One row per site: `main_sites`, the sites that the main serves; `main_left`, in the fuel's
        unit; and `main_left_n`, the generators that this runs. NaN where not known.
    """
    # Two sources may use the same id for two mains.
    name = ranking["main_source"].fillna("").astype(str) + "/" + ranking["main_id"].astype(str)
    name = name.where(ranking["main_id"].notna())
    installed = ranking[["n_lo", "needed_hi"]].min(axis=1)
    takes = (installed - spares).clip(lower=0) * ranking["fuel_demand"]
    taken_before = takes.groupby(name, sort=False).cumsum() - takes
    left = (ranking["fuel_capacity"] - taken_before).clip(lower=0.0).where(name.notna())
    return pd.DataFrame(
        {
            "main_sites": name.map(name.value_counts()).astype(float),
            "main_left": left,
            "main_left_n": np.floor((left / ranking["fuel_demand"]).round(9)),
        },
        index=ranking.index,
    )
