"""A user's folders: one folder per market, or the older layout with one folder per file kind."""

import shutil
from pathlib import Path

import pytest

from flows import check, declarations
from flows.settings import Workspace, read_settings
from geo.errors import ConfigError

FIELD = Path(__file__).parents[3] / "shared/realdata/field"
NIGHT = "2026-03-31"
OLD_SETTINGS = """files = "files"
markets = ["own/markets"]
plans = ["own/plans"]
sources = ["own/sources"]
land_use = ["own/land_use"]
retry_delays_s = []
"""
WARNING = "Warning: Some files use the old folder layout."


def move_to_old_layout(town: Path) -> None:
    """Rearrange a hamlet's files into one folder per kind."""
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


def follow_advice(town: Path, warning: str) -> None:
    """Move every file as the warning says, and delete the settings that it names."""
    for line in warning.splitlines():
        old, separator, new = line.strip().partition(" to ")
        if not separator or not old.startswith("/"):
            continue
        folder = Path(new) if new.endswith("/") else Path(new).parent
        folder.mkdir(parents=True, exist_ok=True)
        for path in Path(old).parent.glob(Path(old).name):
            path.rename(folder / path.name if new.endswith("/") else Path(new))
    settings = (town / "padfinder.toml").read_text("utf-8").splitlines(keepends=True)
    keys = [key for key in ("plans", "sources", "land_use") if f"`{key}`" in warning]
    kept = [line for line in settings if line.split(" = ")[0] not in keys]
    (town / "padfinder.toml").write_text("".join(kept), "utf-8")


def add_setting(town: Path, line: str) -> None:
    settings = (town / "padfinder.toml").read_text("utf-8")
    (town / "padfinder.toml").write_text(f"{settings}{line}\n", "utf-8")


def read_workspace(town: Path) -> Workspace:
    return read_settings({"PADFINDER_CONFIG": str(town / "padfinder.toml")})


def read_declarations(town: Path) -> declarations.Declarations:
    return declarations.read_declarations(read_workspace(town))


def published_ranking(town: Path) -> bytes:
    return (town / "var/published/hamlet/hamlet/ranked.csv").read_bytes()


def test_the_old_layout_gives_the_same_rows_and_one_warning(town, padfinder):
    before = published_ranking(town)
    move_to_old_layout(town)
    ran = padfinder(town, "publish", "--market", "hamlet", "--night", NIGHT)
    assert ran.code == 0, ran.err
    assert ran.err.count(WARNING) == 1
    assert ran.err.count("Warning") == 1
    for path in (
        "own/markets/hamlet.toml to ",
        "own/markets/hamlet/market.toml",
        "own/plans/*.toml to ",
        "own/markets/hamlet/plans/",
        "own/sources/*.toml to ",
        "own/land_use/hamlet.toml to ",
        "delete `plans`, `sources`, `land_use` from padfinder.toml",
    ):
        assert path in ran.err
    assert published_ranking(town) == before
    checked = padfinder(town, "check")
    assert checked.code == 0, checked.err
    assert checked.err.count(WARNING) == 1


def test_following_the_warning_gives_the_same_rows_and_no_warning(town, padfinder):
    before = published_ranking(town)
    move_to_old_layout(town)
    follow_advice(town, padfinder(town, "check").err)
    assert (town / "own/markets/hamlet/land_use.toml").is_file()
    ran = padfinder(town, "publish", "--market", "hamlet", "--night", NIGHT)
    assert ran.code == 0, ran.err
    assert "Warning" not in ran.err
    assert published_ranking(town) == before


def test_the_new_layout_gives_no_warning(town, padfinder):
    ran = padfinder(town, "check")
    assert ran.code == 0
    assert "Warning" not in ran.err


def test_every_command_that_reads_the_files_warns_once(town, padfinder):
    move_to_old_layout(town)
    for arguments in (["sources"], ["explain", "L0002"]):
        ran = padfinder(town, *arguments, "--market", "hamlet")
        assert ran.code == 0, ran.err
        assert ran.err.count(WARNING) == 1


def test_a_retired_key_of_a_plan_is_ignored_with_a_warning(town, padfinder):
    plan = town / "own/hamlet/plans/hamlet.toml"
    text = plan.read_text("utf-8")
    plan.write_text(text.replace("[pad]\n", "[pad]\nblocks_most = 2\n"), "utf-8")
    ran = padfinder(town, "check")
    assert ran.code == 0, ran.err
    assert "Warning: Ignored, please delete: `pad.blocks_most` in " in ran.err
    assert "own/hamlet/plans/hamlet.toml" in ran.err
    # A misspelled key is still an error.
    plan.write_text(text.replace("[pad]\n", "[pad]\nblocks_mots = 2\n"), "utf-8")
    assert padfinder(town, "check").code == 3


def test_a_pad_ramp_in_square_meters_is_replaced_with_a_warning(town, padfinder):
    plan = town / "own/hamlet/plans/hamlet.toml"
    text = plan.read_text("utf-8")
    plan.write_text(text.replace("one_at = 2\n", "one_at = 20000\n"), "utf-8")
    ran = padfinder(town, "check")
    assert ran.code == 0, ran.err
    assert "Warning: No longer in square meters, please change: `score.pad` in " in ran.err


def test_a_retired_key_in_the_old_layout_is_part_of_the_one_warning(town, padfinder):
    plan = town / "own/hamlet/plans/hamlet.toml"
    text = plan.read_text("utf-8")
    plan.write_text(text.replace("[pad]\n", "[pad]\nblocks_most = 2\n"), "utf-8")
    move_to_old_layout(town)
    ran = padfinder(town, "check")
    assert ran.code == 0, ran.err
    assert ran.err.count("Warning") == 1
    assert "`pad.blocks_most` in " in ran.err


def test_a_plan_in_an_old_folder_and_the_rest_in_a_market_folder(town, padfinder):
    (town / "plans").mkdir()
    (town / "own/hamlet/plans/hamlet.toml").rename(town / "plans/hamlet.toml")
    add_setting(town, 'plans = ["plans"]')
    ran = padfinder(town, "publish", "--market", "hamlet", "--night", NIGHT)
    assert ran.code == 0, ran.err
    assert f"{town}/plans/*.toml to {town}/own/hamlet/plans/" in ran.err
    assert "delete `plans` from padfinder.toml" in ran.err
    assert "`sources`" not in ran.err


def test_old_folders_may_be_inside_a_folder_of_markets(town, padfinder):
    """The folder `own` has `plans` and `sources`, but they are not those of a market `own`."""
    move_to_old_layout(town)
    (town / "own/markets/hamlet.toml").rename(town / "own/hamlet.toml")
    (town / "own").rename(town / "old")
    (town / "own").mkdir()
    (town / "old").rename(town / "own/old")
    (town / "own/old/hamlet.toml").rename(town / "own/hamlet.toml")
    settings = OLD_SETTINGS.replace('"own/', '"own/old/').replace('"own/old/markets"', '"own"')
    (town / "padfinder.toml").write_text(settings, "utf-8")
    ran = padfinder(town, "check")
    assert ran.code == 0, ran.err
    assert ran.err.count(WARNING) == 1


def test_several_old_markets_are_told_to_choose_the_folder(town, padfinder):
    move_to_old_layout(town)
    market = (town / "own/markets/hamlet.toml").read_text("utf-8")
    second = market.replace('id = "hamlet"', 'id = "twin"')
    (town / "own/markets/twin.toml").write_text(second, "utf-8")
    ran = padfinder(town, "check")
    assert ran.code == 0, ran.err
    assert "own/markets/twin/market.toml" in ran.err
    assert "own/plans/*.toml to MARKET_FOLDER/plans/" in ran.err
    assert "MARKET_FOLDER is the folder of the market that uses the file." in ran.err


def test_one_market_in_both_layouts_is_refused(town):
    (town / "own/hamlet.toml").write_bytes((town / "own/hamlet/market.toml").read_bytes())
    with pytest.raises(ConfigError, match=r"hamlet/market\.toml has the same name"):
        read_declarations(town)


def test_one_market_in_two_folders_is_refused(town):
    shutil.copytree(town / "own/hamlet", town / "more/hamlet")
    settings = (town / "padfinder.toml").read_text("utf-8").replace('["own"]', '["own", "more"]')
    (town / "padfinder.toml").write_text(settings, "utf-8")
    with pytest.raises(ConfigError, match="delete or rename one of the two files"):
        read_declarations(town)


def test_one_source_in_two_old_folders_is_refused(town):
    move_to_old_layout(town)
    shutil.copytree(town / "own/sources", town / "more")
    settings = (town / "padfinder.toml").read_text("utf-8")
    settings = settings.replace('["own/sources"]', '["own/sources", "more"]')
    (town / "padfinder.toml").write_text(settings, "utf-8")
    with pytest.raises(ConfigError, match=r"own/sources/hamlet_\w+\.toml has the same name"):
        read_declarations(town)


def test_one_land_use_table_in_both_layouts_is_refused(town, padfinder):
    (town / "land_use").mkdir()
    table = (town / "own/hamlet/land_use.toml").read_bytes()
    (town / "land_use/village.toml").write_bytes(table)
    add_setting(town, 'land_use = ["land_use"]')
    ran = padfinder(town, "check")
    assert ran.code == 3
    assert "already has the codes of jurisdiction 'hamlet', scheme 'village'" in ran.err


def test_a_market_with_several_code_lists_has_a_folder_of_them(town):
    table = (town / "own/hamlet/land_use.toml").read_text("utf-8")
    (town / "own/hamlet/land_use").mkdir()
    (town / "own/hamlet/land_use.toml").rename(town / "own/hamlet/land_use/village.toml")
    second = table.replace('scheme = "village"', 'scheme = "county"')
    (town / "own/hamlet/land_use/county.toml").write_text(second, "utf-8")
    tables = check.load_run("hamlet", None, read_workspace(town)).land_use
    schemes = [table.scheme for table in tables if table.jurisdiction == "hamlet"]
    assert sorted(schemes) == ["county", "village"]


def test_a_folder_with_sources_but_no_market_is_refused(town):
    (town / "own/elsewhere/sources").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"elsewhere: it has no market\.toml"):
        read_declarations(town)


def test_the_folder_of_one_market_is_not_a_folder_of_markets(town):
    settings = (town / "padfinder.toml").read_text("utf-8").replace('["own"]', '["own/hamlet"]')
    (town / "padfinder.toml").write_text(settings, "utf-8")
    with pytest.raises(ConfigError, match=rf"name the folder that it is in: {town}/own$"):
        read_declarations(town)


def test_a_folder_with_another_name_than_its_market_is_refused(town, padfinder):
    (town / "own/hamlet").rename(town / "own/hamlett")
    ran = padfinder(town, "check")
    assert ran.code == 3
    assert "id = 'hamlet' is not the name of its folder" in ran.err
    assert "rename the folder to hamlet" in ran.err


def test_a_plan_can_be_added_to_a_built_in_market(town):
    plans = town / "own/demo/plans"
    plans.mkdir(parents=True)
    plan = (town / "own/hamlet/plans/hamlet.toml").read_text("utf-8")
    (plans / "wide.toml").write_text(plan.replace('id = "hamlet"', 'id = "wide"'), "utf-8")
    workspace = read_workspace(town)
    assert declarations.load_plan("wide", workspace, "demo").id == "wide"
    assert declarations.load_market("demo", workspace).id == "demo"


def test_a_users_market_replaces_the_built_in_one(town):
    """The user's source also replaces the built-in source of the same name."""
    market = (town / "own/hamlet/market.toml").read_text("utf-8")
    shutil.copytree(town / "own/hamlet", town / "own/demo")
    replaced = market.replace('id = "hamlet"', 'id = "demo"').replace("hamlet_mains", "demo_mains")
    (town / "own/demo/market.toml").write_text(replaced, "utf-8")
    mains = (town / "own/demo/sources/hamlet_mains.toml").read_text("utf-8")
    (town / "own/demo/sources/demo_mains.toml").write_text(
        mains.replace('id = "hamlet_mains"', 'id = "demo_mains"'), "utf-8"
    )
    # The tables of both markets have the same codes, so one table is removed.
    (town / "own/demo/land_use.toml").unlink()
    run = check.load_run("demo", None, read_workspace(town))
    assert run.market.title == "The hamlet"
    assert run.plan.id == "hamlet"
    source = next(source for source in run.sources if source.id == "demo_mains")
    assert source.title == "mains of the hamlet"


def test_a_markets_own_plan_goes_before_the_shared_one(town):
    own = town / "own/hamlet/plans"
    plan = (own / "hamlet.toml").read_text("utf-8")
    changed = plan.replace('id = "hamlet"', 'id = "default"').replace("cap = 8", "cap = 7")
    (own / "default.toml").write_text(changed, "utf-8")
    workspace = read_workspace(town)
    assert declarations.load_plan("default", workspace, "hamlet").cap == 7
    assert declarations.load_plan("default", workspace, "demo").cap == 25


def list_field_cases() -> list[str]:
    return [
        path.parent.relative_to(FIELD).as_posix() for path in sorted(FIELD.rglob("padfinder.toml"))
    ]


@pytest.mark.skipif(not FIELD.is_dir(), reason="the folder of field cases is absent")
class TestFieldCases:
    """Folders of users in the old layout are read where they are."""

    @pytest.fixture
    def run_case(self, padfinder, monkeypatch, tmp_path):
        def run(case: str, *arguments: str):
            monkeypatch.setenv("PADFINDER_CONFIG", str(FIELD / case / "padfinder.toml"))
            monkeypatch.setenv("PADFINDER_VAR", str(tmp_path / "var"))
            return padfinder(tmp_path, *arguments)

        return run

    @pytest.mark.parametrize("case", list_field_cases())
    def test_check_reads_every_case_with_one_warning(self, run_case, case):
        ran = run_case(case, "check")
        assert ran.code == 0, ran.err
        assert ran.err.count("Warning") == 1
        assert f"{FIELD}/{case}/own/markets/hamlet.toml to " in ran.err

    def test_a_night_is_published(self, run_case, tmp_path):
        ran = run_case("F09", "nightly", "--market", "hamlet", "--night", NIGHT)
        assert ran.code == 0, ran.err
        assert ran.err.count(WARNING) == 1
        assert "accounted for" in ran.out
        assert (tmp_path / "var/published/hamlet/hamlet/ranked.csv").is_file()
