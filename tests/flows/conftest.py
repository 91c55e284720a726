"""Run the real command line in this process, in a folder of its own."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows import cli
from tests.flows import hamlet


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Padfinder = Callable[..., Ran]


@pytest.fixture(scope="session", autouse=True)
def _prefect_of_its_own(tmp_path_factory):
    """Keep Prefect's files out of the home folder."""
    os.environ["PREFECT_HOME"] = str(tmp_path_factory.mktemp("prefect"))


@pytest.fixture
def padfinder(monkeypatch, capfd) -> Padfinder:
    """Return a function that runs `padfinder` with arguments in a folder."""

    def run(folder: Path, *arguments: str) -> Ran:
        monkeypatch.chdir(folder)
        capfd.readouterr()
        code = cli.main(list(arguments))
        out, err = capfd.readouterr()
        return Ran(code, out, err)

    return run


@pytest.fixture(scope="session")
def finished_hamlet(tmp_path_factory) -> Path:
    """Return a folder with one successful night of the hamlet; copy it before changing it."""
    folder = tmp_path_factory.mktemp("hamlet")
    hamlet.write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert cli.main(["nightly", "--market", "hamlet", "--night", "2026-03-31"]) == 0
    return folder


@pytest.fixture
def town(finished_hamlet, tmp_path) -> Path:
    """Return a copy of the hamlet, with one night published, that the test may change."""
    folder = tmp_path / "town"
    shutil.copytree(finished_hamlet, folder, symlinks=True)
    return folder
