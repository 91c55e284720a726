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
from typing import Any

from numba import njit

inlined = njit(nogil=True, _nrt=False, forceinline=True)
"""A piece of the kernel that is compiled into its callers. It must not allocate an array."""
called = njit(nogil=True, _nrt=False)
"""A piece of the kernel that is too large to inline. It must not allocate an array."""


def entry(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a compiled function that Python calls, from a piece of the kernel.

    Args:
        function: The piece, decorated with `called`.

    Returns:
        The function, whose machine code is cached until a module of this package changes.
    """
    version = source_version()

    @njit(nogil=True, _nrt=False, cache=True)
    def compiled_function(*values: Any) -> Any:  # noqa: ANN401 - Numba reads the types of the call
        len(version)
        return function(*values)

    return compiled_function


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
