"""The message for a user whose files are still in the folder layout before November 2026.

In that layout, padfinder.toml named one folder for each kind of file. Such folders still work.
"""

import tomllib
from pathlib import Path
from typing import Any

from flows.declarations import LAND_USE_FILE, MARKET_FILE, read_declarations
from flows.settings import OLD_KEYS, Workspace
from geo.model import PadPlan, Report, is_pad_in_square_meters

ANY_MARKET = "MARKET_FOLDER"


def describe_old_layout(workspace: Workspace) -> str | None:
    """Describe which of the user's files to move where, and which keys to delete.

    Returns:
        One message with one move per line; None if no file is in the old layout.
    """
    market_folders = _list_market_folders(workspace)
    target = str(market_folders[0]) if len(market_folders) == 1 else ANY_MARKET
    moves = [
        f"{path} to {path.with_suffix('')}/{MARKET_FILE}"
        for parent in workspace.markets
        for path in _list_toml_files(parent)
    ]
    for key in OLD_KEYS:
        parents: tuple[Path, ...] = getattr(workspace, key)
        paths = [path for parent in parents for path in _list_toml_files(parent)]
        if key == "land_use" and len(paths) == 1:
            moves.append(f"{paths[0]} to {target}/{LAND_USE_FILE}")
        else:
            folders = sorted({path.parent for path in paths})
            moves += [f"{folder}/*.toml to {target}/{key}/" for folder in folders]
    unused_keys = [f"`{key}`" for key in OLD_KEYS if getattr(workspace, key)]
    plans = [
        (toml.label, _parse(toml.text)) for toml in read_declarations(workspace).plans.values()
    ]
    retired_keys = [
        f"`pad.{key}` in {label}" for label, plan in plans for key in _list_retired_keys(plan)
    ]
    old_ramps = [
        f"`score.pad` in {label}"
        for label, plan in plans
        if is_pad_in_square_meters(plan.get("score"))
    ]
    lines = []
    if moves or unused_keys:
        lines.append("Some files use the old folder layout. They still work, but please move:")
        lines += [f"  {move}" for move in moves]
        if ANY_MARKET in " ".join(moves):
            lines.append(f"  {ANY_MARKET} is the folder of the market that uses the file.")
        if unused_keys:
            lines.append(f"  Then delete {', '.join(unused_keys)} from padfinder.toml.")
    if retired_keys:
        lines.append(f"Ignored, please delete: {'; '.join(retired_keys)}.")
    if old_ramps:
        lines.append(
            f"No longer in square meters, please change: {'; '.join(old_ramps)}. 0 to 2 places on "
            "the ground for each generator needed are used instead."
        )
    return "\n".join(lines) or None


def move_old_folder(published: Path) -> None:
    """Move what was published before each plan had its own folder into the folder of its plan.

    Args:
        published: The market's folder. It was a link to the last night until November 2026.
    """
    if not published.is_symlink():
        return
    nights, last = published.parent / f".{published.name}", published.resolve()
    if not (last / "report.json").is_file():
        # The link leads nowhere: there is nothing to keep.
        published.unlink()
        return
    plan = Report.model_validate_json((last / "report.json").read_text("utf-8")).plan_id
    published.unlink()
    published.mkdir()
    nights.rename(published / f".{plan}")
    (published / plan).symlink_to(Path(f".{plan}") / last.name)


def _list_market_folders(workspace: Workspace) -> list[Path]:
    """List the folder of each market that the user declares, or where it should be."""
    folders = []
    for parent in workspace.markets:
        folders += [path.with_suffix("") for path in _list_toml_files(parent)]
        folders += [path.parent for path in parent.glob(f"*/{MARKET_FILE}")]
    return folders


def _list_toml_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.toml") if path.is_file())


def _parse(plan_text: str) -> dict[str, Any]:
    """Return a plan as written, empty if it is not TOML, which is reported elsewhere."""
    try:
        return tomllib.loads(plan_text)
    except tomllib.TOMLDecodeError:
        return {}


def _list_retired_keys(plan: dict[str, Any]) -> list[str]:
    pad = plan.get("pad")
    return sorted(PadPlan.retired & pad.keys()) if isinstance(pad, dict) else []
