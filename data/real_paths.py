"""Name the files that a user wrote in the errors of a source: its declaration and its data files.

The functions that read a source know a file by its name and the declaration as sources/ID.toml;
the real paths are known where a source is pulled.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from data.fetch_options import is_pattern
from data.source import Source
from geo.errors import PadfinderError, StoreError


def list_data_files(source: Source, files: Path, address: str) -> dict[str, str]:
    """Return the real path of each data file of a source, by the names that errors use for it.

    Args:
        source: The source.
        files: The folder that its paths are relative to.
        address: Where its own file was downloaded from, without secrets; "" if it was not.

    Returns:
        Paths, or an address, by the declared path and by the file's name alone.
    """
    tables = (source.fetch, source.join, source.place, source.coverage)
    declared = [table.path for table in tables if table is not None and table.path is not None]
    real: dict[str, str] = {}
    for name in declared:
        # An absolute pattern is refused where the files are looked for.
        is_many = is_pattern(name) and not Path(name).is_absolute()
        for path in sorted(files.glob(name)) if is_many else [files / name]:
            real |= {path.name: str(path)}
        real |= {name: str(files / name)}
    if address:
        real[Path(address).name] = address
    return real


def name_real_files(error: PadfinderError, source: Source, real: Mapping[str, str]) -> None:
    """Write the real paths into the texts of an error.

    Args:
        error: The error, which is changed.
        source: The source that it concerns.
        real: The real path of each data file, by the names that errors use for it.
    """
    placeholder = f"sources/{source.id}.toml"
    names = "|".join(re.escape(name) for name in sorted(real, key=len, reverse=True))
    doing = error.doing
    if names:
        doing = re.sub(rf"(?<![\w./-])({names})(?![\w/-])", lambda name: real[name[0]], doing)
    doing, wrong, remedy = (
        re.sub(rf"(?<![\w./-]){re.escape(placeholder)}", lambda _: source.file, text)
        for text in (doing, error.wrong, error.remedy)
    )
    is_named = any(source.file in text for text in (doing, wrong, remedy))
    if not is_named and not isinstance(error, StoreError):
        doing = f"{doing}, declared in {source.file}"
    error.doing, error.wrong, error.remedy = error.args = (doing, wrong, remedy)
