"""Screen the batches of a market side by side, in processes of their own on this machine."""

import ctypes
import gc
import multiprocessing
import os
import shutil
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory

import geopandas as gpd

from flows.mapped import read_mapped, write_mapped
from geo.batches import Shared
from geo.errors import ConfigError
from geo.model import Market, Plan, Screening
from geo.screen import screen_batch, screen_sites

SENT_PER_WORKER = 2
# What all batches share is read once by each worker, not sent with every batch.
_shared: list[Shared] = []


def screen_side_by_side(
    screening: Screening, market: Market, plan: Plan, workers: int
) -> gpd.GeoDataFrame:
    """Measure the facts of every site, as `geo.screen.screen_sites`, in several processes.

    The result does not depend on their number.

    Args:
        screening: The sites with the layers near them, in the market's CRS (m).
        market: The market.
        plan: The plan.
        workers: How many processes.

    Returns:
        One row of facts per site.

    Raises:
        ConfigError: If a process ends without an answer, or a file has errors.
    """
    screen_all = None if workers == 1 else partial(_screen_all, workers)
    try:
        return screen_sites(screening, market, plan, screen_all, workers)
    except BrokenProcessPool as error:
        raise ConfigError(
            f"screening {market.title}",
            "a worker process ended without an answer, most likely for lack of memory",
            "set a smaller number of `workers` in padfinder.toml, or free some memory",
        ) from error


def _screen_all(
    workers: int, batches: Iterator[Screening], share: Callable[[], Shared]
) -> Iterator[gpd.GeoDataFrame]:
    # On Windows, a file that is still mapped cannot be removed.
    with TemporaryDirectory(prefix="padfinder-", ignore_cleanup_errors=True) as folder:
        # All workers map the same memory. This process does not keep what they share.
        try:
            write_mapped(share(), Path(folder))
        except OSError as error:
            raise ConfigError(
                f"writing what all worker processes share to {folder}",
                str(error),
                "free some disk space, set TMPDIR to a larger disk, or set `workers` to 1 in "
                "padfinder.toml",
            ) from error
        _return_free_memory()
        pool = ProcessPoolExecutor(
            workers,
            # A copy of this process would have the locks of its threads, but not the threads.
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
            initargs=(Path(folder),),
        )
        others = set(multiprocessing.active_children())
        with pool:
            try:
                yield from _screen_in_pool(pool, workers, batches)
            except BaseException:
                # Whoever stops the program does not wait for the batches under way.
                for worker in set(multiprocessing.active_children()) - others:
                    worker.terminate()
                raise


def _screen_in_pool(
    pool: ProcessPoolExecutor, workers: int, batches: Iterator[Screening]
) -> Iterator[gpd.GeoDataFrame]:
    # Only the next few batches are in memory.
    sent: deque[Future[gpd.GeoDataFrame]] = deque()
    for batch in batches:
        sent.append(pool.submit(_screen_in_worker, batch))
        if len(sent) == SENT_PER_WORKER * workers:
            facts = sent.popleft().result()
            _return_free_memory()
            yield facts
    while sent:
        yield sent.popleft().result()


def _return_free_memory() -> None:
    """Give memory that is not in use back to the system, where the C library can do so.

    Making the index of a large market's buildings leaves more than a gigabyte behind.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _start_worker(folder: Path) -> None:
    # Ctrl-C reaches all processes of a terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(folder,), daemon=True).start()
    _shared.append(read_mapped(folder))
    # The objects that are alive now stay alive, so that they need not be looked at again and again.
    gc.collect()
    gc.freeze()
    _return_free_memory()


def _end_with_parent(folder: Path) -> None:
    """End this process when the one that started it is gone, even if that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)


def _screen_in_worker(batch: Screening) -> gpd.GeoDataFrame:
    # Collecting in the middle of a batch takes 4 % of its time and finds hardly anything.
    gc.disable()
    facts = screen_batch(batch, _shared[0])
    gc.enable()
    _return_free_memory()
    return facts
