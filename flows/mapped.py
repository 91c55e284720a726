"""Let several processes read the same arrays from one file, which is in memory only once.

Pickle hands out the memory of NumPy arrays apart from the objects that hold them (its protocol 5).
"""

import json
import mmap
import pickle
from pathlib import Path
from typing import Any

ALIGNMENT = 64
OBJECTS, ARRAYS, PLACES = "objects.pickle", "arrays.bin", "arrays.json"


def write_mapped(value: object, folder: Path) -> None:
    """Write a value to a folder, its arrays so that they can be mapped.

    Args:
        value: The value. It can be pickled.
        folder: The folder, which exists.
    """
    buffers: list[pickle.PickleBuffer] = []
    objects = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    places = []
    with (folder / ARRAYS).open("wb") as file:
        for buffer in buffers:
            begin = file.tell()
            places.append((begin, begin + file.write(buffer.raw())))
            file.write(bytes(ALIGNMENT - file.tell() % ALIGNMENT))
        # An empty file cannot be mapped.
        file.write(bytes(ALIGNMENT))
    (folder / PLACES).write_text(json.dumps(places))
    (folder / OBJECTS).write_bytes(objects)


def read_mapped(folder: Path) -> Any:
    """Return a value that was written to a folder (see `write_mapped`).

    Writing to an array copies what is changed, for this process alone; the file stays as it is. The
    folder must be one that this program has written: a pickle can run any code.

    Args:
        folder: The folder.

    Returns:
        The value.
    """
    places = json.loads((folder / PLACES).read_text())
    with (folder / ARRAYS).open("rb") as file:
        mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    buffers = [mapped[begin:end] for begin, end in places]
    # This program has just written the file, in a folder that only its user can open.
    return pickle.loads((folder / OBJECTS).read_bytes(), buffers=buffers)  # noqa: S301
