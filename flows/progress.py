"""Say on the terminal what is being done, and keep how long it took."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

# Progress goes to stderr, results to stdout: a pipe gets the results alone.
terminal = Console(stderr=True, highlight=False)


@contextmanager
def show_step(
    title: str, seconds: dict[str, float] | None = None
) -> Iterator[Callable[[str], None]]:
    """Show `title` while the block runs, then one line with what it says of itself.

    Yields a function that takes the closing words. The duration goes into `seconds[title]`.
    """
    words: list[str] = []
    started = time.perf_counter()
    mark, shown = "[red]failed[/red]", title
    try:
        with terminal.status(f"{title} ..."):
            yield words.append
        mark = "[green]done[/green]"
    finally:
        took = time.perf_counter() - started
        if seconds is not None:
            seconds[title] = round(took, 3)
        if words:
            shown = f"{title}: {words[-1]}"
        terminal.print(f"{mark}  {took:6.1f} s  ", end="")
        terminal.print(shown, markup=False)
