"""How the kernels are compiled: pieces without reference counts, and a cache that notices changes.

The kernels own no arrays. They only fill those that they are given, so that Numba need not count
references to them. With counts they take twice as long, and two threads slow each other down.

Numba compares a cached function with its own source file only, not with those of the functions that
it calls. The functions that are called from Python (`entry`) therefore close over a digest of all
the packages that they use, which becomes part of the key of their cache.

Numba also compiles a function anew into each of its callers, and into theirs. For the sound from
one point to another, that takes half a minute each time. `address_of` and `call_at` call such a
function through its address, as a function pointer in C.

A named tuple of arrays is passed array by array, each with its shape and strides. With hundreds of
arrays, that takes longer to compile than the rest, and to call. `refer` passes the address of a
tuple instead; its fields are read in the same way.

Code is compiled again for arrays of another layout, or that are read-only. Arrays that come from a
table or from `np.broadcast_to` are therefore copied (`np.array`, not `np.ascontiguousarray`).
"""

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numba import njit, types
from numba import typeof as numba_type
from numba.core import cgutils
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, intrinsic, lower_getattr_generic, models, register_model

Piece = TypeVar("Piece", bound=Callable[..., Any])
# Numba's functions have no type hints, nor has `_nrt`, its switch for reference counts.
compile_piece: Any = njit
compile_intrinsic: Any = intrinsic
typeof: Any = numba_type


def inlined(function: Piece) -> Piece:
    """Return a piece of the kernel that is compiled into its callers. It may allocate no array."""
    compiled: Piece = compile_piece(nogil=True, _nrt=False, forceinline=True)(function)
    return compiled


def called(function: Piece) -> Piece:
    """Return a piece of the kernel that is not compiled into its callers, else as `inlined`."""
    compiled: Piece = compile_piece(nogil=True, _nrt=False)(function)
    return compiled


def entry(make: Callable[[str], Piece], packages: tuple[str, ...]) -> Piece:
    """Return a compiled function that Python calls. Its machine code is cached.

    Args:
        make: Returns the function. It is given the version of the sources, which the function must
            use, and must use nothing else from outside except globals: Numba makes the key of the
            cache from what the function closes over.
        packages: The packages whose compiled pieces the function uses, such as `propagation`.

    Returns:
        The function.
    """
    version = source_version(packages)
    compiled: Piece = compile_piece(nogil=True, _nrt=False, cache=True)(make(version))
    return compiled


@cache
def source_version(packages: tuple[str, ...]) -> str:
    """Return a digest of this module and of all modules of some packages of `geo`.

    >>> len(source_version(("propagation",)))
    64
    """
    here = Path(__file__)
    digest = sha256(here.read_bytes())
    for package in packages:
        for path in sorted((here.parent / package).glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def address_of(function: Any, *arguments: Any) -> int:
    """Compile a function of `entry` for arguments of these types, and return its address.

    Args:
        function: The function.
        arguments: For each argument an example, or its type in Numba.

    Returns:
        The address.
    """
    signature = tuple(
        argument if isinstance(argument, types.Type) else typeof(argument) for argument in arguments
    )
    function.compile(signature)
    result = function.overloads[signature]
    return int(result.library.get_pointer_to_function(result.fndesc.llvm_func_name))


@compile_intrinsic
def call_at(_: Any, address: Any, arguments: Any) -> Any:
    """Call the function at an address with a tuple of arguments. It returns a float.

    Args:
        _: Numba's own.
        address: That of a function for arguments of exactly these types (see `address_of`).
        arguments: The arguments.

    Returns:
        What the function returns.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kinds = tuple(signature.args[1])
        function_type = context.call_conv.get_function_type(types.float64, kinds)
        function = builder.inttoptr(values[0], function_type.as_pointer())
        given = [builder.extract_value(values[1], nth) for nth in range(len(kinds))]
        _, result = context.call_conv.call_function(builder, function, types.float64, kinds, given)
        return result

    return types.float64(address, arguments), generate


class Reference(types.Type):
    """The address of a named tuple that is kept elsewhere."""

    def __init__(self, of: Any) -> None:
        """Make the type for a type of named tuples."""
        self.of = of
        super().__init__(name=f"Reference({of})")


_references: dict[Any, Reference] = {}


def reference_to(example: Any) -> Reference:
    """Return the type of a reference to named tuples like an example.

    Numba takes milliseconds to tell the type of a tuple with hundreds of arrays.
    """
    kind = _kind_of(example)
    if kind not in _references:
        _references[kind] = Reference(typeof(example))
    return _references[kind]


def _kind_of(value: Any) -> Any:
    """Return what determines the type of a value in Numba: equal kinds are of the same type."""
    if isinstance(value, np.ndarray):
        flags = value.flags
        return (
            value.dtype,
            value.ndim,
            flags.c_contiguous,
            flags.f_contiguous,
            flags.aligned,
            flags.writeable,
        )
    if isinstance(value, tuple):
        return (type(value), *map(_kind_of, value))
    return type(value)


@register_model(Reference)
class _ReferenceModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Reference) -> None:
        super().__init__(manager, kind, manager.lookup(kind.of).get_value_type().as_pointer())


@infer_getattr
class _ReferenceFields(AttributeTemplate):
    key = Reference

    def generic_resolve(self, reference: Reference, name: str) -> Any:  # type: ignore[override]
        """Return the type of a field: a reference to a tuple, or what is kept."""
        if name not in reference.of.fields:
            return None
        kind = reference.of.types[reference.of.fields.index(name)]
        return Reference(kind) if isinstance(kind, types.BaseNamedTuple) else kind


@lower_getattr_generic(Reference)
def _read_field(_: Any, builder: Any, kind: Reference, address: Any, name: str) -> Any:
    place = kind.of.fields.index(name)
    field = cgutils.gep_inbounds(builder, address, 0, place)
    if isinstance(kind.of.types[place], types.BaseNamedTuple):
        return field
    return builder.load(field)


@compile_intrinsic
def refer(_: Any, kept: Any) -> Any:
    """Return a reference to a named tuple. It is valid until the calling function returns."""

    def generate(_: Any, builder: Any, __: Any, values: Any) -> Any:
        return cgutils.alloca_once_value(builder, values[0])

    return Reference(kept)(kept), generate
