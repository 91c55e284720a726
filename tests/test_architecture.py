"""The packages import only from packages below them, and the check can fail."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
GEO_LAYERS = [
    module
    for contract in CONTRACTS["contracts"]
    if contract["name"].startswith("Inside geo")
    for layer in contract["layers"]
    for module in layer.split(" | ")
]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = "import sys; from importlinter.cli import lint_imports_command as run; run()"
    return subprocess.run(
        [sys.executable, "-c", command, "--no-cache", "--config", str(ROOT / "pyproject.toml")],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_contracts_are_kept():
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("room", "forbidden"),
    [
        ("geo", "import duckdb"),
        ("geo", "import prefect"),
        ("geo", "import data"),
        ("data", "import maps"),
        ("data", "import folium"),
        ("maps", "import httpx"),
        ("flows", "import pyogrio"),
        ("flows", "import folium"),
        ("geo.criteria.a", "import geo.criteria.b"),
        ("geo.shapes", "import geo.sizing"),
    ],
)
def test_contracts_can_fail(tmp_path, room, forbidden):
    """A small set of packages with one wrong import breaks a contract."""
    for package in ("data", "maps", "flows", "geo", "geo.criteria", "geo.contract"):
        folder = tmp_path / package.replace(".", "/")
        folder.mkdir()
        (folder / "__init__.py").write_text("", "utf-8")
    modules = [f"geo/criteria/{criterion}.py" for criterion in ("a", "b")]
    modules += [f"{layer.replace('.', '/')}.py" for layer in GEO_LAYERS]
    for module in modules:
        if not (tmp_path / module).with_suffix("").is_dir():
            (tmp_path / module).write_text("", "utf-8")
    assert lint_imports(tmp_path).returncode == 0
    place = tmp_path / room.replace(".", "/")
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    file.write_text(f"{forbidden}\n", "utf-8")
    done = lint_imports(tmp_path)
    assert done.returncode != 0
    assert "1 broken" in done.stdout or "2 broken" in done.stdout, done.stdout


def test_no_package_index_and_no_path_of_a_machine_is_committed():
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False
    ).stdout.decode()
    names = [name for name in listed.split("\0") if name]
    if not names:
        pytest.skip("not a git checkout: there are no committed files to read")
    bad = ("pypi.org", "--index-url", "--extra-index-url", "--find-links", "file:///", "/root/")
    own = Path(__file__).relative_to(ROOT).as_posix()
    for name in names:
        path = ROOT / name
        if name == own or not path.is_file():
            continue
        text = path.read_bytes().decode("utf-8", errors="replace")
        found = [word for word in bad if word in text]
        assert not found, f"{name} holds {found}"


def test_every_pinned_package_has_a_hash():
    lines = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    pins = [number for number, line in enumerate(lines) if "==" in line.split("#")[0]]
    assert len(pins) > 100
    for number in pins:
        assert "--hash=sha256:" in lines[number + 1], lines[number]
    text = "\n".join(lines)
    assert "\nduckdb==1.5.5 " in text
    assert "\nduckdb-extension-spatial==1.5.5 " in text
