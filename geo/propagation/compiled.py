"""How the kernel is compiled: pieces without reference counts, and a cache that notices changes.

The kernel owns no arrays. It only fills those that it is given, so that Numba need not count
references to them. With counts it takes twice as long, and two threads slow each other down.

Numba compares a cached function with its own source file only, not with those of the functions that
it calls. The functions that are called from Python (`entry`) therefore close over a digest of the
whole package, which becomes part of the key of their cache.
"""

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from numba import njit

Piece = TypeVar("Piece", bound=Callable[..., Any])
compile_piece: Any = njit  # `_nrt`, Numba's switch for reference counts, has no type hint


def inlined(function: Piece) -> Piece:
    """Return a piece of the kernel that is compiled into its callers. It may allocate no array."""
    compiled: Piece = compile_piece(nogil=True, _nrt=False, forceinline=True)(function)
    return compiled


def called(function: Piece) -> Piece:
    """Return a piece of the kernel that is not compiled into its callers, else as `inlined`."""
    compiled: Piece = compile_piece(nogil=True, _nrt=False)(function)
    return compiled


def entry(make: Callable[[str], Piece]) -> Piece:
    """Return a compiled function that Python calls. Its machine code is cached.

    Args:
        make: Returns the function. It is given the version of this package's sources, which the
            function must use, and must use nothing else from outside except globals: Numba makes
            the key of the cache from what the function closes over.

    Returns:
        The function.
    """
    compiled: Piece = compile_piece(nogil=True, _nrt=False, cache=True)(make(source_version()))
    return compiled


@cache
def source_version() -> str:
    """Return a digest of all modules of this package.

    >>> len(source_version())
    64
    """
    digest = sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
