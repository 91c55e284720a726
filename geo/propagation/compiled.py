"""How the kernel is compiled: pieces without reference counts, and a cache that notices changes.

The kernel owns no arrays. It only fills those that it is given, so that Numba need not count
references to them. With counts it takes twice as long, and two threads slow each other down.

Numba compares a cached function with its own source file only, not with those of the functions that
it calls. The functions that are called from Python (`entry`) therefore have a digest of the whole
package in the key of their cache.
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


def entry(function: Piece) -> Piece:
    """Return a compiled function that Python calls, from a piece of the kernel.

    Its machine code is cached until a module of this package changes.
    """
    version = source_version()

    def compiled_function(*values: Any) -> Any:
        len(version)
        return function(*values)

    compiled: Piece = compile_piece(nogil=True, _nrt=False, cache=True)(compiled_function)
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
