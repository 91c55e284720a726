"""The setup script says which Python it needs if there is none, or none with venv."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The tools that the script itself calls, apart from Python.
TOOLS = ("sh", "dirname", "rm", "cp", "cat", "cmp", "pwd")


def stand_in(folder: Path, name: str, version: str, venv: bool) -> None:
    """Write a `python` script that answers like another version."""
    numbers = tuple(int(part) for part in version.split("."))
    good = (3, 11) <= numbers[:2] < (3, 14)
    path = folder / name
    path.write_text(
        "#!/bin/sh\n"
        'case "$2" in\n'
        f'    *print*) echo "{version}" ;;\n'
        f"    *ensurepip*) exit {0 if venv else 1} ;;\n"
        f"    *sys.exit*) exit {0 if good else 1} ;;\n"
        "    *) echo made-venv >&2; exit 1 ;;\n"
        "esac\n",
        "utf-8",
    )
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout with only the setup script, and a PATH folder with its tools."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "venv", tmp_path / ".ci" / "venv")
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (tmp_path / "bin" / tool).symlink_to(found)
    return tmp_path


def set_up(checkout: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(checkout / ".ci" / "venv")],
        env={"PATH": str(checkout / "bin"), "HOME": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_python_at_all(checkout):
    done = set_up(checkout)
    assert done.returncode != 0
    assert "needs Python 3.11, 3.12 or 3.13" in done.stderr
    assert "no Python on the PATH" in done.stderr
    assert "What to do" in done.stderr


@pytest.mark.parametrize("version", ["3.9.2", "3.14.0"])
def test_wrong_version_is_named(checkout, version):
    stand_in(checkout / "bin", "python3", version, venv=True)
    done = set_up(checkout)
    assert done.returncode != 0
    assert f"python3 is Python {version}" in done.stderr
    assert "needs Python 3.11, 3.12 or 3.13" in done.stderr
    assert not (checkout / ".venv").exists()


def test_python_without_venv_names_the_package(checkout):
    stand_in(checkout / "bin", "python3", "3.11.2", venv=False)
    done = set_up(checkout)
    assert done.returncode != 0
    assert "(Python 3.11.2) lacks venv" in done.stderr
    assert "apt-get install python3.11-venv" in done.stderr


def test_good_python_is_found_behind_an_old_one(checkout):
    stand_in(checkout / "bin", "python3", "3.8.1", venv=True)
    stand_in(checkout / "bin", "python3.12", "3.12.4", venv=True)
    done = set_up(checkout)
    assert f"Making .venv with {checkout}/bin/python3.12" in done.stdout
    assert "made-venv" in done.stderr  # the stand-in was called to make it


def test_nothing_is_done_twice():
    """The checkout's own .venv is set up, so a second run does nothing and is fast."""
    if not (ROOT / ".venv" / "installed.lock").is_file():
        pytest.skip("this checkout's .venv was not made by make")
    done = subprocess.run(
        [str(ROOT / ".ci" / "venv")],
        env={**os.environ, "PIP_NO_INDEX": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == ""
