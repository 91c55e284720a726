"""Docstring rules for public functions that ruff does not check."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("geo", "data", "maps", "flows")
# Typer turns these functions' docstrings into the help of the command line.
COMMANDS = "flows/cli.py"
LONG_MODULE_LINES = 400
LONG_MODULE_REASON = "is over 400 lines long"


def public_functions(text: str) -> Iterator[ast.FunctionDef]:
    """Yield the public functions of a module and the public methods of its public classes."""
    for node in ast.parse(text).body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        owner_is_public = not (isinstance(node, ast.ClassDef) and node.name.startswith("_"))
        for member in members:
            if not isinstance(member, ast.FunctionDef) or not owner_is_public:
                continue
            if not member.name.startswith("_"):
                yield member


def missing_sections(text: str) -> list[str]:
    """List public functions of three or more parameters without `Args:`, and their parameters."""
    missing = []
    for function in public_functions(text):
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        names = [argument.arg for argument in arguments if argument.arg not in {"self", "cls"}]
        docstring = ast.get_docstring(function) or ""
        if len(names) < 3:
            continue
        if "Args:" not in docstring:
            missing.append(f"{function.name}: no Args")
            continue
        described = docstring.split("Args:")[1]
        missing += [f"{function.name}: {name}" for name in names if f"{name}:" not in described]
        returns = function.returns is not None and ast.unparse(function.returns) != "None"
        if returns and "Returns:" not in docstring and "Yields:" not in docstring:
            missing.append(f"{function.name}: no Returns")
    return missing


@pytest.mark.parametrize("package", PACKAGES)
def test_functions_of_three_parameters_describe_each(package):
    faults = {
        str(path.relative_to(ROOT)): missing
        for path in sorted((ROOT / package).rglob("*.py"))
        if path != ROOT / COMMANDS and (missing := missing_sections(path.read_text("utf-8")))
    }
    assert not faults, faults


@pytest.mark.parametrize("package", PACKAGES)
def test_a_module_over_400_lines_gives_a_reason(package):
    """The docstring of a long module says why it is not split."""
    without_reason = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / package).rglob("*.py"))
        if len((text := path.read_text("utf-8")).splitlines()) > LONG_MODULE_LINES
        and LONG_MODULE_REASON not in (ast.get_docstring(ast.parse(text)) or "")
    ]
    assert not without_reason, without_reason


def test_a_missing_section_is_found():
    text = 'def add(a, b, c) -> int:\n    """Add."""\n'
    assert missing_sections(text) == ["add: no Args"]
    docstring = '"""Add.\n\n    Args:\n        a: One.\n        b: Two.\n    """'
    text = f"def add(a, b, c) -> int:\n    {docstring}\n"
    assert missing_sections(text) == ["add: c", "add: no Returns"]
    assert missing_sections("def _add(a, b, c): ...\n") == []
