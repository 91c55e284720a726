"""Note what is different about a source since its last snapshot, besides its rows."""

import datetime as dt
from collections import Counter

from data.raw_files import plain_name, raw_files_folder
from data.snapshot import SnapshotContent
from data.snapshot_record import snapshot_table
from data.store import Store

_NOUNS = {"point": "points", "linestring": "lines", "polygon": "areas"}
_SHOWN_MOST = 5


def note_changes(store: Store, content: SnapshotContent, night: dt.date) -> tuple[str, ...]:
    """Return notes on files that are gone, and on shapes of another type than before.

    Args:
        store: The open store.
        content: The snapshot that is about to be stored.
        night: The night on which it was taken.

    Returns:
        The notes; none for the first snapshot of a source.
    """
    snapshots = store.read_snapshots(night, [content.source.id])
    if snapshots.empty:
        return ()
    last = snapshots.iloc[0]
    notes = []
    folder = raw_files_folder(store.path, content.source.id, str(last["raw_digest"]))
    before = Counter(plain_name(path) for path in folder.glob("*.gz"))
    gone = sorted((before - Counter(path.name for path in content.raw)).elements())
    # A single file that was renamed is not gone.
    if gone and len(before) > len(content.raw):
        shown = ", ".join(gone[:_SHOWN_MOST]) + (" ..." if len(gone) > _SHOWN_MOST else "")
        notes.append(f"{len(gone)} of the files of the last snapshot are gone: {shown}")
    if content.frame is not None and last["crs"] == content.crs:
        kinds = content.frame.geometry.geom_type.dropna()
        now = {_noun(kind) for kind in kinds.unique()}
        then = {
            _noun(kind)
            for (kind,) in store.con.execute(
                f"select distinct st_geometrytype(geometry)::varchar from "  # noqa: S608
                f"{snapshot_table(int(last['snapshot_id']))} where geometry is not null"
            ).fetchall()
        }
        if now and then and now != then:
            was, is_now = " and ".join(sorted(then)), " and ".join(sorted(now))
            notes.append(f"the {len(kinds)} shapes are {is_now}; at the last snapshot: {was}")
    return tuple(notes)


def _noun(kind: str) -> str:
    return _NOUNS.get(kind.lower().removeprefix("multi"), kind.lower())
