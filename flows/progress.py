"""Show progress on the terminal, and measure how long each step takes."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

# Progress goes to stderr, so that a pipe gets only the results.
terminal = Console(stderr=True, highlight=False)


@contextmanager
def show_step(
    title: str, seconds: dict[str, float] | None = None
) -> Iterator[Callable[[str], None]]:
    """Show `title` while the block runs, then one line with its duration and result.

    Args:
        title: What the block does.
        seconds: Where to record the block's duration, by title; None to record nothing.

    Yields:
        A function that takes the result, as text for the line.
    """
    results: list[str] = []
    started = time.perf_counter()
    state, line = "[red]failed[/red]", title
    try:
        with terminal.status(f"{title} ..."):
            yield results.append
        state = "[green]done[/green]"
    finally:
        duration_s = time.perf_counter() - started
        if seconds is not None:
            seconds[title] = round(duration_s, 3)
        if results:
            line = f"{title}: {results[-1]}"
        terminal.print(f"{state}  {duration_s:6.1f} s  ", end="")
        terminal.print(line, markup=False)
