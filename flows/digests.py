"""Digests of what a run depends on: the program, the plan, the catalogue and land-use tables."""

import hashlib
import json
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from flows.declarations import read_declarations
from flows.settings import Workspace
from geo import catalogue
from geo.model import Plan

CODE_FILES = {".py", ".sql", ".js", ".css", ".html"}


def program_version() -> str:
    """Return the version with a digest of the code, so that a code change changes the version."""
    digest = hashlib.sha256()
    for package in ("data", "flows", "geo", "maps"):
        root = Path(str(files(package)))
        for path in sorted(root.rglob("*")):
            if path.suffix in CODE_FILES or path.name == "style.toml":
                digest.update(path.relative_to(root.parent).as_posix().encode())
                digest.update(path.read_bytes())
    return f"{version('padfinder')}+{digest.hexdigest()[:8]}"


def digest_json(values: dict[str, object]) -> str:
    """Return twelve characters that change whenever one of some plain values does."""
    text = json.dumps(values, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def digest_plan(plan: Plan) -> str:
    """Return twelve characters that change whenever the plan changes."""
    return hashlib.sha256(plan.model_dump_json(by_alias=True).encode()).hexdigest()[:12]


def digest_catalogue(workspace: Workspace) -> str:
    """Return a digest of the catalogue and every land-use table."""
    digest = hashlib.sha256()
    for name, text in sorted(catalogue.read_file_texts().items()):
        digest.update(f"{name}\0{text}\0".encode())
    declarations = read_declarations(workspace)
    for toml in (*declarations.land_use, *declarations.user_land_use):
        digest.update(f"{toml.text}\0".encode())
    return digest.hexdigest()
