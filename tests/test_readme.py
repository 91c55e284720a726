"""The README's commands, settings and exit codes match the program."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import get_args

import pytest
from typer.main import get_command

from data.source import Coverage, Expectations
from flows import cli, outcome, settings
from geo.catalogue import read_layers
from geo.model.codes import UseClass, ZoneClass

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line.strip()]
NEW_MARKET = (ROOT / "docs/new_market.md").read_text("utf-8")
OURS = [line[line.index("padfinder ") :] for line in COMMANDS if "padfinder " in line]
MAKE = [line for line in COMMANDS if line.startswith("make ")]


def test_every_line_is_known():
    assert len(OURS) + len(MAKE) == len(COMMANDS)
    assert {"make demo", "make test"} <= set(MAKE)


@pytest.mark.parametrize("line", [*OURS, *re.findall(r"^padfinder .*", NEW_MARKET, re.MULTILINE)])
def test_padfinder_takes_the_line(line):
    """Parse the line as the command line does; nothing is run."""
    arguments = [word.strip('"') for word in line.split()[1:]]
    group = get_command(cli.app)
    if arguments == ["--help"]:
        return
    name, *rest = arguments
    group.commands[name].make_context(name, rest)


def test_new_markets_options_are_the_programs():
    """Every option of a dataset is in the table of docs/new_market.md, and no other."""
    command = get_command(cli.app).commands["new-market"]
    options = {name for option in command.params for name in option.opts if "-" in name}
    named = set(re.findall(r"`(--[a-z-]+)", NEW_MARKET)) - {"--data"}
    assert named <= options
    assert options - named <= {"--title"}


def test_new_markets_classes_and_coverages_are_the_models():
    classes = {*get_args(UseClass), *get_args(ZoneClass)}
    kinds = set(get_args(Coverage.model_fields["kind"].annotation))
    ticked = set(re.findall(r"`(\w+)`", NEW_MARKET))
    assert classes | kinds <= ticked
    assert set(read_layers()["receptors"].columns["receptor_class"].values) <= ticked
    assert set(Expectations.model_fields) - {"stray_shapes_share_max"} <= ticked


def test_every_command_is_shown():
    shown = {line.split()[1] for line in OURS}
    assert set(get_command(cli.app).commands) <= shown


@pytest.mark.parametrize("line", MAKE)
def test_make_knows_the_target(line):
    done = subprocess.run(
        [*line.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["check"]])
def test_cheap_commands_run(arguments, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out


def test_settings_are_the_programs():
    for text in [*blocks("toml"), (ROOT / "padfinder.example.toml").read_text("utf-8")]:
        settings.Settings.model_validate(tomllib.loads(text))
    example = tomllib.loads((ROOT / "padfinder.example.toml").read_text("utf-8"))
    assert set(example) == set(settings.Settings.model_fields) - set(settings.OLD_KEYS)


def test_variables_are_the_programs():
    code = (ROOT / "flows/settings.py").read_text("utf-8")
    assert set(re.findall(r"PADFINDER_[A-Z]+", README)) == set(
        re.findall(r'"(PADFINDER_[A-Z]+)"', code)
    )


def test_exit_codes_are_the_programs():
    documented = [int(code) for code in re.findall(r"^\| (\d) \|", README, flags=re.MULTILINE)]
    assert documented == sorted({0, cli.UNEXPECTED, 2, *outcome.EXIT_CODES.values()})
    assert [int(code) for code in re.findall(r"\b(\d) [a-z]", cli.EPILOG)] == documented


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_linked_and_named_files_exist(page):
    text = page.read_text("utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    named = re.findall(r"`((?:flows|geo|data|maps|docs)/[\w./-]+)`", text)
    for name in links:
        assert (page.parent / name).exists(), name
    for name in named:
        assert (ROOT / name).exists(), name
    assert links or named


def test_prefect_yaml_names_flows_that_exist():
    text = (ROOT / "prefect.yaml").read_text("utf-8")
    entries = re.findall(r"entrypoint: (\S+):(\w+)", text)
    assert entries
    for file, function in entries:
        assert f"def {function}(" in (ROOT / file).read_text("utf-8")
    pinned = re.search(r"^prefect==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert pinned is not None
    assert f"prefect-version: {pinned[1]}\n" in text
    for name in re.findall(r"market: (\w+)", text):
        assert (ROOT / f"data/markets/{name}/market.toml").is_file()
