"""The error for a file that cannot be read as its source declares."""

from collections.abc import Sequence

from geo.errors import SourceChanged

_NAMES_MOST = 20


def refuse_file(
    file: str, source_id: str, wrong: str, remedy: str = "fetch the file again"
) -> SourceChanged:
    """Return the error for a file that cannot be read.

    Args:
        file: The file's name.
        source_id: The source that names it.
        wrong: What is wrong with it, to be read after its name.
        remedy: What to do, besides correcting the source.

    Returns:
        The error, to be raised.
    """
    return SourceChanged(
        f"reading {file} for source {source_id!r}",
        f"{file} {wrong}",
        f"{remedy}, or correct [fetch] in sources/{source_id}.toml",
    )


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or its class where it has none."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def join_names(names: Sequence[str]) -> str:
    """Return names as a list, the first of them only where there are many."""
    shown = ", ".join(names[:_NAMES_MOST])
    return shown + (f" and {len(names) - _NAMES_MOST} more" if len(names) > _NAMES_MOST else "")
