"""Judge the health of a market's sources: from the store, and from the last try to pull each."""

import datetime as dt
import json
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from data.schema import digest_columns
from data.source import Source
from data.store import open_store
from geo.errors import Fault
from geo.model import SourceHealth

# A source that was not pulled for more days than this is stale.
PULLED_DAYS_MOST = 3


class FailedPull(NamedTuple):
    """The last try to pull a source, where it failed.

    Attributes:
        night: Its night.
        fault: What the error says about the source.
        wrong: What is wrong, in words.
        remedy: What to do.
    """

    night: dt.date
    fault: Fault
    wrong: str
    remedy: str


def judge_sources(
    store: Path, sources: Sequence[Source], night: dt.date, failed: Mapping[str, FailedPull]
) -> tuple[SourceHealth, ...]:
    """Judge each source as of a night.

    Args:
        store: File of the market's store, which need not exist.
        sources: The market's sources.
        night: The night.
        failed: By source id, the last try to pull it if that failed.

    Returns:
        The health of each source, in their order.

    Raises:
        StoreError: The store cannot be read.
    """
    snapshots: dict[str, dict[Hashable, Any]] = {}
    if store.is_file():
        with open_store(store, read_only=True) as opened:
            rows = opened.read_snapshots(night, [source.id for source in sources])
        # Missing numbers are None, not NaN.
        records = rows.astype("object").where(rows.notna(), None).to_dict("records")
        snapshots = {str(row["source_id"]): row for row in records}
    return tuple(
        _judge_source(source, snapshots.get(source.id), night, failed.get(source.id))
        for source in sources
    )


def _judge_source(
    source: Source, snapshot: dict[Hashable, Any] | None, night: dt.date, failed: FailedPull | None
) -> SourceHealth:
    limit = source.expect.age_days_max
    health = SourceHealth(
        id=source.id,
        title=source.title,
        licence=source.licence,
        attribution=source.attribution,
        vintage=source.vintage.isoformat(),
        age_limit="no age limit declared" if limit is None else f"at most {limit:,} days old",
        verified=_say_verified(source),
        verdict="never pulled",
        error="it has never been pulled",
        remedy="run padfinder refresh",
        is_usable=False,
    )
    # A later try says nothing about an earlier night.
    if failed is not None and failed.night > night:
        failed = None
    if snapshot is not None:
        health = health.model_copy(update=_describe_snapshot(source, snapshot, night))
    if failed is not None and (snapshot is None or failed.night >= _date(snapshot["last_seen"])):
        update = {"verdict": failed.fault, "error": failed.wrong, "remedy": failed.remedy}
        health = health.model_copy(update=update | {"is_usable": False})
    return health


def _say_verified(source: Source) -> str:
    """Return when a declaration was held against the publisher's own data, in words."""
    if source.verified is None:
        return ""
    if source.is_unseen:
        return f"declaration not verified: {source.verified}"
    return f"declaration verified on {source.verified}"


def _describe_snapshot(
    source: Source, snapshot: dict[Hashable, Any], night: dt.date
) -> dict[str, Any]:
    """Return the fields of a source's health that its last good snapshot tells."""
    last_seen = min(_date(snapshot["last_seen"]), night)
    verdict, error, remedy = _judge_snapshot(source, snapshot, last_seen, night)
    warnings = [str(text) for text in snapshot["warnings"]]
    failed = list(snapshot["failed_addresses"])
    if failed:
        warnings.insert(0, f"{'; '.join(failed)}; {snapshot['address']} was used instead")
    return {
        "address": snapshot["address"],
        "good_on": last_seen.isoformat(),
        "rows": int(snapshot["row_count"]),
        **{
            name: None if snapshot[name] is None else int(snapshot[name])
            for name in ("rows_before", "rows_added", "rows_removed")
        },
        "columns_digest": digest_columns(json.loads(snapshot["raw_columns"])),
        "verdict": verdict,
        "error": error,
        "remedy": remedy,
        "is_usable": True,
        "warnings": tuple(warnings),
    }


def _judge_snapshot(
    source: Source, snapshot: dict[Hashable, Any], last_seen: dt.date, night: dt.date
) -> tuple[str, str, str]:
    """Return the verdict on a source whose last pull succeeded, why, and what to do."""
    pulled_days, age_days = (night - last_seen).days, (night - source.vintage).days
    limit = source.expect.age_days_max
    if pulled_days > PULLED_DAYS_MOST:
        return "stale", f"it was last pulled {pulled_days:,} days ago", "run padfinder refresh"
    if limit is not None and age_days > limit:
        return (
            "stale",
            f"its data are {age_days:,} days old, at most {limit:,} declared",
            f"get newer data and set vintage in {source.file}, or raise expect.age_days_max",
        )
    # A change of columns is news on the night when it is first seen.
    if snapshot["column_changes"] and _date(snapshot["taken_on"]) == last_seen:
        wrong = f"its columns have changed: {snapshot['column_changes']}"
        return "changed", wrong, f"check that {source.file} still reads the right columns"
    return "fresh", "", ""


def _date(value: object) -> dt.date:
    return pd.Timestamp(str(value)).date()
