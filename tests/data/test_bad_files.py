"""Bad files are refused in one sentence, or read with a count; the last snapshot stays."""

import json
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from data.store import open_store
from geo.errors import ConfigError, ContractError, SourceChanged

COLUMNS = {
    "parcel_id": {"column": "ID"},
    "use_code": {"column": "USE"},
    "jurisdiction": {"value": "tiny"},
    "use_scheme": {"value": "s"},
}


@pytest.fixture
def lots(make_square, make_table):
    shapes = [make_square(30 * n, 0) for n in range(4)]
    return make_table(shapes, ID=["A", "B", "C", "D"], USE=["1", "2", "3", "4"])


@pytest.fixture
def pull_lots(tmp_path, make_source, make_market, pull):
    """Return a function that pulls a file of parcels, and returns the notes and the rows."""

    def pull_one(path, expect=None, layer="parcels", columns=COLUMNS, **fetch):
        source = make_source(layer, path, columns, fetch=fetch, expect=expect or {})
        store, (pulled,) = pull(tmp_path, make_market(source.id), source)
        with open_store(store, read_only=True) as opened:
            return pulled, opened.read_layer(layer)

    return pull_one


# ---------------------------------------------------------------------------------------------
# Addresses


class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        body, headers = self.server.answers[self.path]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as running:
        running.answers = {}
        thread = threading.Thread(target=running.serve_forever, args=(0.05,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def serve(server):
    """Return a function that answers a request with a body, and returns its address."""

    def answer(body, path="/download?id=7", **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        server.answers[path] = (body, named)
        return f"http://127.0.0.1:{server.server_port}{path}"

    return answer


def pack(folder, lots, kind):
    """Return the bytes of a file of the lots."""
    path = folder / f"made.{kind}"
    if kind == "csv":
        pd.DataFrame(lots.drop(columns="geometry")).assign(w=lots.to_wkt()["geometry"]).to_csv(path)
    elif kind == "parquet":
        lots.to_parquet(path)
    elif kind == "zip":
        lots.to_file(folder / "made.shp")
        with zipfile.ZipFile(path, "w") as archive:
            for part in folder.glob("made.*"):
                if part != path:
                    archive.write(part, part.name)
    else:
        lots.to_file(path)
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["csv", "parquet", "zip", "gpkg"])
def test_an_address_may_say_nothing_of_the_file(tmp_path, lots, serve, pull_lots, kind):
    (tmp_path / "made").mkdir()
    fetch = {"wkt": "w"} if kind == "csv" else {}
    url = serve(pack(tmp_path / "made", lots, kind), Content_Type="application/octet-stream")
    _, rows = pull_lots(None, url=url, **fetch)
    assert rows["parcel_id"].tolist() == ["A", "B", "C", "D"]


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"Content_Type": "text/csv; charset=utf-8"}, "0-download.csv.gz"),
        ({"Content_Disposition": 'attachment; filename="x 2026-03-31.CSV"'}, "0-download.csv.gz"),
        ({"Content_Disposition": "attachment; filename=../../x.csv"}, "0-download.csv.gz"),
        ({"Content_Type": "text/plain"}, "0-download.gz"),
    ],
)
def test_the_server_says_what_the_file_is(tmp_path, lots, serve, pull_lots, headers, name):
    (tmp_path / "made").mkdir()
    url = serve(pack(tmp_path / "made", lots, "csv"), **headers)
    _, rows = pull_lots(None, url=url, wkt="w")
    assert len(rows) == 4
    (kept,) = (tmp_path / "var/raw").rglob("*.gz")
    assert kept.name == name


def test_an_answer_larger_than_allowed_is_refused(serve, pull_lots):
    url = serve(b"ID,USE\n" * 1000)
    with pytest.raises(SourceChanged, match="answers with more than 5,000 bytes") as caught:
        pull_lots(None, url=url, bytes_most=5000)
    assert "fetch.bytes_most" in caught.value.remedy


def test_a_web_page_after_a_comment_is_refused(serve, pull_lots):
    url = serve(b"<!-- portal --><html><body>Sign in</body></html>", Content_Type="text/csv")
    with pytest.raises(SourceChanged, match="answers 200 with an HTML page"):
        pull_lots(None, url=url)


# ---------------------------------------------------------------------------------------------
# Values


@pytest.mark.parametrize(
    ("ids", "says"),
    [
        ([None] * 4, "parcel_id is missing in each of 4 rows"),
        (["", " ", "", ""], "parcel_id is missing in each of 4 rows"),
        (["A"] * 4, "parcel_id is 'A' in each of 4 rows"),
    ],
)
def test_ids_that_are_all_missing_or_equal_are_refused(tmp_path, lots, pull_lots, ids, says):
    lots.assign(ID=pd.Series(ids, dtype="str")).to_parquet(tmp_path / "lots.parquet")
    with pytest.raises(SourceChanged, match=says) as caught:
        pull_lots("lots.parquet")
    assert "columns.parcel_id.column" in caught.value.remedy


@pytest.mark.parametrize(
    ("shape", "note"),
    [
        ("POLYGON Z (({low} 5, {left} 5, {high} 5, {low} 5))", "heights of 4 shapes dropped"),
        ("POLYGON M (({low} 5, {left} 5, {high} 5, {low} 5))", "measures of 4 shapes dropped"),
        (
            "POLYGON ZM (({low} 5 1, {left} 5 2, {high} 5 3, {low} 5 1))",
            "measures of 4 shapes dropped",
        ),
    ],
)
def test_heights_and_measures_are_dropped_with_a_note(tmp_path, lots, pull_lots, shape, note):
    x, y = lots.geometry.iloc[0].bounds[:2]
    wkt = shape.format(low=f"{x} {y}", left=f"{x} {y + 9}", high=f"{x + 9} {y + 9}")
    table = pd.DataFrame(lots.drop(columns="geometry"))
    table.assign(w=wkt).to_csv(tmp_path / "lots.csv", index=False)
    pulled, rows = pull_lots("lots.csv", wkt="w")
    assert any(note in text for text in pulled.notes)
    assert not rows.geometry.has_z.any()
    assert not shapely.has_m(rows.geometry.to_numpy()).any()


@pytest.mark.parametrize("number", ["NaN", "Infinity"])
def test_a_shape_with_a_coordinate_that_is_no_number_is_counted(tmp_path, lots, pull_lots, number):
    document = json.loads(lots.to_crs(4326).to_json(drop_id=True))
    document.pop("crs", None)
    document["features"][1]["geometry"]["coordinates"][0][2][0] = "X"
    text = json.dumps(document).replace('"X"', number)
    (tmp_path / "lots.geojson").write_text(text, "utf-8")
    with pytest.raises(ContractError, match="null geometry in 1 of 4 rows"):
        pull_lots("lots.geojson", crs="EPSG:4326")
    pulled, rows = pull_lots("lots.geojson", {"null_geometry_share_max": 0.5}, crs="EPSG:4326")
    assert "1 shape without finite coordinates" in pulled.notes
    assert rows.geometry.isna().sum() == 1


def test_two_columns_of_one_title_are_refused(tmp_path, pull_lots):
    (tmp_path / "lots.csv").write_text("ID,USE,ID,w\nA,1,B,\n", "utf-8")
    with pytest.raises(SourceChanged, match="has two columns titled 'ID'"):
        pull_lots("lots.csv", wkt="w")


def test_text_in_another_encoding_is_refused(tmp_path, lots, pull_lots):
    lots.assign(ID=["Caf\u00e9", "B", "C", "D"]).to_file(
        tmp_path / "lots.shp", encoding="ISO-8859-1"
    )
    (tmp_path / "lots.cpg").write_text("UTF-8", "ascii")
    with pytest.raises(SourceChanged, match=r"lots\.shp cannot be read: 'utf-8' codec"):
        pull_lots("lots.shp")


def test_shapes_of_another_type_than_before_are_noted(
    tmp_path, make_point, make_square, make_table, make_source, make_market, pull
):
    source = make_source("receptors", "r.parquet", {"receptor_class": {"value": "school"}})
    market = make_market(source.id)
    make_table([make_point(0, 0), make_point(50, 0)]).to_parquet(tmp_path / "r.parquet")
    pull(tmp_path, market, source)
    make_table([make_square(0, 0), make_square(50, 0)]).to_parquet(tmp_path / "r.parquet")
    _, (pulled,) = pull(tmp_path, market, source)
    assert "the 2 shapes are areas; at the last snapshot: points" in pulled.notes


# ---------------------------------------------------------------------------------------------
# Many files


def test_a_shard_that_is_gone_is_noted(tmp_path, lots, pull_lots):
    for n in range(4):
        lots.iloc[[n]].to_parquet(tmp_path / f"part{n}.parquet")
    first, _ = pull_lots("part*.parquet", {"shrink_share_max": 0.5})
    assert "4 files of part*.parquet read as one" in first.notes
    (tmp_path / "part2.parquet").unlink()
    second, rows = pull_lots("part*.parquet", {"shrink_share_max": 0.5})
    assert second.changed
    assert "1 of the files of the last snapshot are gone: part2.parquet" in second.notes
    assert rows["parcel_id"].tolist() == ["A", "B", "D"]
    assert not pull_lots("part*.parquet", {"shrink_share_max": 0.5})[0].changed


def test_a_change_in_any_shard_is_a_change(tmp_path, lots, pull_lots):
    for n in range(4):
        lots.iloc[[n]].to_file(tmp_path / f"part{n}.shp")
    assert pull_lots("part*.shp")[0].changed
    assert not pull_lots("part*.shp")[0].changed
    lots.iloc[[3]].assign(USE="9").to_file(tmp_path / "part3.shp")
    pulled, rows = pull_lots("part*.shp")
    assert pulled.changed
    assert rows["use_code"].tolist() == ["1", "2", "3", "9"]


def test_no_shard_is_refused(pull_lots):
    with pytest.raises(ConfigError, match=r"fetch\.path = 'part\*\.shp': there is no such file"):
        pull_lots("part*.shp")
    with pytest.raises(ConfigError, match="is not a pattern"):
        pull_lots("/part*.shp")


def test_a_raster_is_one_file(make_source):
    with pytest.raises(ValueError, match="path names one raster"):
        make_source("elevation", "dem*.tif", fetch={"protocol": "raster"})


def test_nothing_is_known_beyond_the_bounds_that_were_read(
    tmp_path, make_square, make_table, make_source, make_market, pull
):
    """A long lot that reaches beyond the bounds does not make the ground beside it known."""
    shapes = [make_square(0, 0, 20), make_square(30, 0, 20), make_square(5000, 30, 20)]
    make_table(
        [*shapes, make_square(0, 40, 9000, 20)], ID=list("ABCD"), USE=list("1234")
    ).to_parquet(tmp_path / "lots.parquet")
    near = gpd.GeoSeries([make_square(-500, -500, 1000)], crs=26986).to_crs(4326).total_bounds
    source = make_source("parcels", "lots.parquet", COLUMNS, fetch={"bounds": near.tolist()})
    store, _ = pull(tmp_path, make_market(source.id), source)
    with open_store(store, read_only=True) as opened:
        assert opened.read_layer("parcels")["parcel_id"].tolist() == ["A", "B", "D"]
        covered = shapely.from_wkb(bytes(opened.read_snapshots().iloc[0]["coverage"]))
    assert covered.contains(shapes[0])
    assert not covered.intersects(shapes[2])
