"""Fixtures that all tests share: where the real files are, and what to do without them."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
REAL_FILES = ROOT.parent / "shared" / "realdata"


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
