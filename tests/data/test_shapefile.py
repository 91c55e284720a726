"""The parts of a shapefile belong together, and its text is read in the encoding that it says."""

import geopandas as gpd
import pytest

from data.protocols.file import read_file
from geo.errors import ContractError, SourceChanged

NAMES = ["Peña", "Société", "Zoë"]


@pytest.fixture
def write_lots(tmp_path, make_square):
    """Return a function that writes a shapefile in an encoding, with a .cpg or another mark."""

    def write(encoding, cpg=None, language=0, names=NAMES):
        squares = [make_square(30 * nth, 0) for nth in range(len(names))]
        frame = gpd.GeoDataFrame({"ID": names}, geometry=squares, crs="EPSG:26986")
        path = tmp_path / "lots.shp"
        frame.to_file(path, encoding=encoding)
        path.with_suffix(".cpg").unlink(missing_ok=True)
        table = bytearray(path.with_suffix(".dbf").read_bytes())
        table[29] = language
        path.with_suffix(".dbf").write_bytes(table)
        if cpg:
            path.with_suffix(".cpg").write_text(cpg)
        return path

    return write


@pytest.fixture
def read_names(make_source):
    """Return a function that reads the names in a file, with the notes."""

    def read(path, **fetch):
        source = make_source("parcels", path.name, {"parcel_id": {"column": "ID"}}, fetch=fetch)
        frame, notes = read_file(path, source)
        return frame["ID"].tolist(), notes

    return read


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("UTF-8", {"cpg": "UTF-8"}),
        ("cp1252", {"cpg": "1252"}),
        ("ISO-8859-1", {"cpg": "ISO-8859-1"}),
        ("cp1252", {"language": 0x57}),
    ],
)
def test_an_encoding_that_the_file_says_is_used(write_lots, read_names, encoding, mark):
    assert read_names(write_lots(encoding, **mark)) == (NAMES, ())


def test_an_encoding_that_nobody_says_is_found_and_noted(write_lots, read_names):
    names, (note,) = read_names(write_lots("UTF-8"))
    assert names == NAMES
    assert note == "the file does not say how its text is encoded; it was read as UTF-8"
    names, (note,) = read_names(write_lots("ISO-8859-1"))
    assert names == NAMES
    assert note.endswith("it was read as ISO-8859-1")
    plain = write_lots("UTF-8", names=["a", "b"])
    assert read_names(plain) == (["a", "b"], ())


def test_a_declared_encoding_is_used_unless_the_file_says_another(write_lots, read_names):
    unsaid = write_lots("cp850")
    assert read_names(unsaid, encoding="cp850") == (NAMES, ())
    with pytest.raises(ContractError, match="encoding that is not known, and fetch"):
        read_names(unsaid, encoding="x")
    said = write_lots("UTF-8", cpg="UTF-8")
    assert read_names(said, encoding="utf8") == (NAMES, ())
    with pytest.raises(ContractError, match=r"says in its \.cpg that its text is UTF-8"):
        read_names(said, encoding="cp1252")


def test_text_in_another_encoding_than_declared_is_refused(write_lots, read_names):
    with pytest.raises(SourceChanged, match=r"lots\.shp"):
        read_names(write_lots("ISO-8859-1"), encoding="UTF-8")


def cut(path, count):
    content = path.read_bytes()
    path.write_bytes(content[:-count])


@pytest.mark.parametrize(("suffix", "count"), [(".shp", 40), (".shx", 8), (".dbf", 30)])
def test_a_part_that_is_cut_off_is_refused(write_lots, read_names, suffix, count):
    path = write_lots("UTF-8", names=["a", "b"])
    cut(path.with_suffix(suffix), count)
    with pytest.raises(SourceChanged, match=rf"lots\.shp is cut off: its \{suffix} has [\d,]+ of"):
        read_names(path)


def test_a_table_of_another_file_is_refused(write_lots, read_names):
    three = write_lots("UTF-8", names=["a", "b", "c"]).with_suffix(".dbf").read_bytes()
    path = write_lots("UTF-8", names=["a", "b"])
    path.with_suffix(".dbf").write_bytes(three)
    with pytest.raises(SourceChanged, match="has 2 shapes and 3 rows"):
        read_names(path)
