"""A user's folders: one folder per market, and the layout of one folder per kind before it."""

import shutil
from pathlib import Path

import pytest

from flows import declarations
from flows.cli import main
from flows.settings import read_settings
from geo.errors import ConfigError

FIELD = Path(__file__).parents[3] / "shared/realdata/field"
OLD_SETTINGS = """files = "files"
markets = ["own/markets"]
plans = ["own/plans"]
sources = ["own/sources"]
land_use = ["own/land_use"]
retry_delays_s = []
"""


def move_to_old_layout(town: Path) -> None:
    """Rearrange a hamlet's files into one folder per kind, as users had them."""
    market = town / "own/hamlet"
    for kind, files in (
        ("markets", [market / "market.toml"]),
        ("land_use", [market / "land_use.toml"]),
        ("plans", list((market / "plans").iterdir())),
        ("sources", list((market / "sources").iterdir())),
    ):
        (town / "own" / kind).mkdir()
        for file in files:
            single = file.name in {"market.toml", "land_use.toml"}
            file.rename(town / "own" / kind / ("hamlet.toml" if single else file.name))
    shutil.rmtree(market)
    (town / "padfinder.toml").write_text(OLD_SETTINGS, "utf-8")


def published_files(town: Path) -> dict[str, bytes]:
    folder = town / "var/published/hamlet"
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_old_layout_gives_the_same_rows_and_one_warning(town, padfinder):
    before = published_files(town)["ranked.csv"].replace(b"\r\n", b"\n").split(b"\n")
    move_to_old_layout(town)
    ran = padfinder(town, "publish", "--market", "hamlet", "--night", "2026-03-31")
    assert ran.code == 0, ran.err
    assert ran.err.count("Warning: Old folder layout, still read.") == 1
    for move in ("own/markets/hamlet.toml to ", "own/markets/hamlet/market.toml", "delete `plans`"):
        assert move in ran.err
    assert published_files(town)["ranked.csv"].replace(b"\r\n", b"\n").split(b"\n") == before
    checked = padfinder(town, "check")
    assert checked.code == 0, checked.err
    assert checked.err.count("Warning: Old folder layout") == 1


def test_the_new_layout_gives_no_warning(town, padfinder):
    ran = padfinder(town, "check")
    assert ran.code == 0
    assert "Warning" not in ran.err


def test_a_retired_key_of_a_plan_is_ignored_with_a_warning(town, padfinder):
    plan = town / "own/hamlet/plans/hamlet.toml"
    text = plan.read_text("utf-8")
    plan.write_text(text.replace("[pad]\n", "[pad]\nblocks_most = 2\n"), "utf-8")
    ran = padfinder(town, "check")
    assert ran.code == 0, ran.err
    assert "No longer used and ignored, delete: pad.blocks_most in " in ran.err
    # Ignored, not accepted silently under another name.
    plan.write_text(text.replace("[pad]\n", "[pad]\nblocks_mots = 2\n"), "utf-8")
    assert padfinder(town, "check").code == 3


def test_half_old_half_new(town, padfinder):
    """The market's folder holds everything but the plan, which is in an old shared folder."""
    (town / "plans").mkdir()
    (town / "own/hamlet/plans/hamlet.toml").rename(town / "plans/hamlet.toml")
    settings = (town / "padfinder.toml").read_text("utf-8")
    (town / "padfinder.toml").write_text(settings + 'plans = ["plans"]\n', "utf-8")
    ran = padfinder(town, "publish", "--market", "hamlet", "--night", "2026-03-31")
    assert ran.code == 0, ran.err
    assert "delete `plans` from padfinder.toml" in ran.err
    assert "`sources`" not in ran.err


def load(town: Path) -> declarations.Declarations:
    config = town / "padfinder.toml"
    return declarations.read_declarations(read_settings({"PADFINDER_CONFIG": str(config)}))


def test_one_market_in_both_layouts_is_refused(town):
    (town / "own/hamlet.toml").write_bytes((town / "own/hamlet/market.toml").read_bytes())
    with pytest.raises(ConfigError, match=r"hamlet/market\.toml has the same name"):
        load(town)


def test_one_land_use_table_in_both_layouts_is_refused(town, padfinder):
    (town / "land_use").mkdir()
    table = (town / "own/hamlet/land_use.toml").read_bytes()
    (town / "land_use/village.toml").write_bytes(table)
    settings = (town / "padfinder.toml").read_text("utf-8")
    (town / "padfinder.toml").write_text(settings + 'land_use = ["land_use"]\n', "utf-8")
    ran = padfinder(town, "check")
    assert ran.code == 3
    assert "already has the codes of jurisdiction 'hamlet', scheme 'village'" in ran.err


def test_a_folder_with_sources_but_no_market_is_named(town):
    (town / "own/elsewhere/sources").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"elsewhere: it has no market\.toml"):
        load(town)


def test_a_plan_can_be_added_to_a_built_in_market(town):
    plans = town / "own/demo/plans"
    plans.mkdir(parents=True)
    plan = (town / "own/hamlet/plans/hamlet.toml").read_text("utf-8")
    (plans / "wide.toml").write_text(plan.replace('id = "hamlet"', 'id = "wide"'), "utf-8")
    config = read_settings({"PADFINDER_CONFIG": str(town / "padfinder.toml")})
    assert declarations.load_plan("wide", config, "demo").id == "wide"
    assert declarations.load_market("demo", config).id == "demo"


def test_a_markets_own_plan_goes_before_the_shared_one(town):
    own = town / "own/hamlet/plans"
    plan = (own / "hamlet.toml").read_text("utf-8")
    changed = plan.replace('id = "hamlet"', 'id = "default"').replace("cap = 25", "cap = 7")
    (own / "default.toml").write_text(changed, "utf-8")
    config = read_settings({"PADFINDER_CONFIG": str(town / "padfinder.toml")})
    assert declarations.load_plan("default", config, "hamlet").cap == 7
    assert declarations.load_plan("default", config, "demo").cap == 25


@pytest.mark.skipif(not FIELD.is_dir(), reason="the folder of made-up field cases is absent")
@pytest.mark.parametrize("case", ["F12", "F15", "F21"])
def test_old_folders_of_users_are_still_read(tmp_path, monkeypatch, capsys, case):
    for name in ("own", "files"):
        shutil.copytree(FIELD / case / name, tmp_path / name)
    shutil.copy(FIELD / case / "padfinder.toml", tmp_path)
    for path in tmp_path.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    monkeypatch.chdir(tmp_path)
    assert main(["check"]) == 0
    shown = capsys.readouterr().err
    assert shown.count("Warning: Old folder layout, still read.") == 1
    assert "own/markets/hamlet.toml to " in shown
