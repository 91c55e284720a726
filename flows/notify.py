"""Tell a person of a night's trouble, by a web hook: once, and once more when all is well again."""

import json
from collections.abc import Mapping
from pathlib import Path

from data.web_hook import post_message
from flows.progress import terminal
from flows.settings import Workspace
from geo.addresses import hide_secrets, show_address
from geo.printable import make_printable

# A message of this length can be read in any messenger.
_LETTERS_MOST = 2_000


def tell_once(
    workspace: Workspace, market_id: str, title: str, night: str, troubles: Mapping[str, str]
) -> None:
    """Post a message if a night has trouble that the last message did not name, or none any more.

    Nothing is posted if no address is set. If the address does not answer, a warning is printed,
    and the next night posts the message.

    Args:
        workspace: The settings, with the address.
        market_id: The market.
        title: Its title.
        night: The night, as an ISO date.
        troubles: What is wrong, by the source or step that it concerns; empty if all is well.
    """
    if workspace.notify_url is None:
        return
    record = workspace.var / "runs" / market_id / "told.json"
    told = _read_told(record)
    if not set(troubles) - told and (troubles or not told):
        if told - set(troubles):
            _write_told(record, troubles)
        return
    message = {
        "text": _format_text(title, night, troubles),
        "market": market_id,
        "night": night,
        "state": "trouble" if troubles else "well again",
        "troubles": {name: _make_safe(text) for name, text in sorted(troubles.items())},
    }
    wrong = post_message(workspace.notify_url, message)
    if wrong is not None:
        terminal.print(
            f"Warning: nobody was told: {show_address(workspace.notify_url)}, `notify_url` in "
            f"padfinder.toml, did not take the message ({wrong})",
            style="yellow", markup=False, soft_wrap=True,
        )  # fmt: skip
        return
    _write_told(record, troubles)


def _format_text(title: str, night: str, troubles: Mapping[str, str]) -> str:
    if not troubles:
        return f"padfinder, {title}, night of {night}: all is well again."
    lines = [f"padfinder, {title}, night of {night}: {len(troubles)} in trouble."]
    lines += [f"{name}: {_make_safe(text)}" for name, text in sorted(troubles.items())]
    return "\n".join(lines)[:_LETTERS_MOST]


def _make_safe(text: str) -> str:
    return make_printable(hide_secrets(text))


def _read_told(record: Path) -> set[str]:
    """Return what the last message named; nothing if that is not known."""
    try:
        return set(json.loads(record.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return set()


def _write_told(record: Path, troubles: Mapping[str, str]) -> None:
    record.parent.mkdir(parents=True, exist_ok=True)
    unfinished = record.with_suffix(".new")
    unfinished.write_text(json.dumps(sorted(troubles)) + "\n", "utf-8")
    unfinished.replace(record)
