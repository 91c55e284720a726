"""Fixtures that all tests share: where the real files are, and what to do without them."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
REAL_FILES = ROOT.parent / "shared" / "realdata"
# Compiling the kernels takes a minute and a half. The first and the third of these compile nearly
# all, as a rule in one worker, where they share their parts. The next need no kernel: they keep the
# other worker busy in the meantime. The last take longest, and should not be what is left at last.
FIRST = (
    "tests/geo/propagation/test_one_pair.py",
    "tests/data",
    "tests/geo/ranking/test_rank.py",
    "tests/maps",
    "tests/geo/criteria/fuel",
    "tests/geo/criteria/grid",
    "tests/geo/shapes",
    "tests/geo/test_oracle.py",
    "tests/flows",
    "tests/geo/test_batches.py",
    "tests/geo/sizing/test_verification.py",
    "tests/geo/test_supply_oracle.py",
)


def pytest_collection_modifyitems(items):
    """Run the tests in an order that hardly compiles a kernel twice."""
    items.sort(key=lambda item: _place_of(item.nodeid))


def _place_of(test):
    return next((nth for nth, begin in enumerate(FIRST) if test.startswith(begin)), len(FIRST))


@pytest.fixture(scope="session")
def real_files() -> Path:
    """Return the folder of real files beside the checkout; skip without it, except in CI."""
    if not REAL_FILES.is_dir():
        absent = "the folder of real files beside the checkout is absent"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{absent}, and CI skips nothing")
        pytest.skip(absent)
    return REAL_FILES


@pytest.fixture(scope="session")
def cambridge_files(real_files: Path) -> Path:
    """Return the folder of Cambridge's real files."""
    return real_files / "cambridge-ma"
