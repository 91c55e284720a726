"""The ranking as files that people open: CSV, Excel, GeoParquet and GeoPackage.

Every file has the same rows, in rank order. The columns for readers come first, with names for
readers. All facts of the catalogue follow under their code names, so that a program can find each
one by its name in the catalogue.

* "Fits (generators)", "Fits (MW)" and "Grid shortfall (MW)" have a number if it is certain, a text
  such as "0 to 12" if a missing fact leaves it open, and "not known" if nothing bounds it. A
  spreadsheet sorts the numbers first, then the texts by their lower end, then "not known". The
  columns `n_lo`, `n_hi`, `shortfall_lo_kw` and `shortfall_hi_kw` have the plain numbers.
* A missing value is "not known" in the reader's columns of CSV and Excel, an empty cell among the
  facts, and null in GeoParquet and GeoPackage. It is never 0.
* CSV is UTF-8 with a byte-order mark (Excel needs it) and follows RFC 4180 with CRLF. A text that
  begins with = + - @, a tab or a return could run as a formula in a spreadsheet; it gets a
  leading apostrophe. Excel, GeoParquet and GeoPackage have typed cells and keep the text as it is.
* GeoPackage ignores the case of column names. A fact whose name differs from a reader's column only
  in case (rank, call, address, city) appears only once, under the reader's name.
* No file contains the time at which it was written: the same ranking gives the same bytes.

The module is over 400 lines long: the four formats share the preparation of the table.
"""

import csv
import io
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
import xlsxwriter

from geo.catalogue import SHAPE_COLUMNS, facts_of_table
from geo.contract.units import convert_units
from geo.model import Fact, Report
from maps.card import (
    NOT_ENGINEERING,
    NOT_KNOWN,
    NOT_SCREENED,
    describe_missing,
    format_facts,
    require_facts,
)

READER_COLUMNS = (
    "Rank", "Call", "Address", "City", "Current use", "Lot sq ft", "Building sq ft",
    "Fits (generators)", "Fits (MW)", "Grid shortfall (MW)", "Covers shortfall", "Best fuel",
    "What limits it", "How to fit more", "Summary", "What to check first", "Data complete",
    "Rank stability (%)", "Assessor ID",
    "Map link", "Latitude", "Longitude",
)  # fmt: skip
HEALTH_COLUMNS = (
    "Title", "Health", "Last pull", "Rows before", "Age limit", "From", "What is wrong",
)  # fmt: skip
FIXED_TIME = datetime(2000, 1, 1, tzinfo=UTC)
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
EXCEL_URLS = 65_000
EXCEL_TEXT = 32_767
EXCEL_URL_LENGTH = 2_000
# The number format of each column in Excel, and its width in characters.
EXCEL_LOOK = {
    "Rank": ("0", 7), "Call": ("", 11), "Address": ("", 28), "City": ("", 16),
    "Current use": ("", 26), "Lot sq ft": ("#,##0", 12), "Building sq ft": ("#,##0", 14),
    "Fits (generators)": ("0", 12), "Fits (MW)": ("0.0##", 11),
    "Grid shortfall (MW)": ("0.0##", 11), "Covers shortfall": ("", 11),
    "Best fuel": ("", 13), "What limits it": ("", 44),
    "How to fit more": ("", 40), "Summary": ("", 90), "What to check first": ("", 90),
    "Data complete": ("", 40), "Rank stability (%)": ("0", 10),
    "Assessor ID": ("", 16), "Map link": ("", 24), "Latitude": ("0.000000", 12),
    "Longitude": ("0.000000", 12),
}  # fmt: skip


def write_files(ranking: gpd.GeoDataFrame, report: Report, folder: Path) -> None:
    """Write ranked.csv, ranked.xlsx, ranked.parquet and ranked.gpkg.

    Args:
        ranking: The ranking, one row per site.
        report: The report of the run.
        folder: An existing folder to write into.

    Raises:
        ContractError: If the ranking lacks a fact of the catalogue.
    """
    whole = make_table(ranking)
    (folder / "ranked.csv").write_bytes(write_csv_bytes(whole))
    (folder / "ranked.xlsx").write_bytes(write_xlsx_bytes(whole, report))
    _write_parquet(whole, ranking, folder / "ranked.parquet")
    _write_gpkg(whole, ranking, folder / "ranked.gpkg")


def make_map_links(site_ids: pd.Series, map_name: str = "map.html") -> pd.Series:
    """Return the link that opens each site's card, such as map.html#12-3%2F4."""
    return site_ids.astype(str).map(lambda one: f"{map_name}#{quote(one, safe='')}")


def make_reader_columns(ranking: pd.DataFrame, map_name: str = "map.html") -> pd.DataFrame:
    """Return the columns for readers, in order, one row per row of the ranking.

    Missing texts are None and missing numbers NaN. The three columns that may be a range hold a
    number if it is certain and a text if not (see the module). Raises ContractError if a fact has
    no column.
    """
    require_facts(list(ranking.columns))
    said = format_facts(ranking)

    def text(name: str) -> pd.Series:
        return pd.Series(said[name], dtype=object, index=ranking.index)

    def number(name: str) -> pd.Series:
        return pd.to_numeric(ranking[name]).astype(float)

    def words(name: str, short: str) -> pd.Series:
        return text(name).where(text(name).notna(), text(short))

    n_lo, n_hi = number("n_lo"), number("n_hi")
    # Without a headroom, the shortfall can be anything from 0 to the target: show "not known".
    known_gap = number("load_headroom_kw").notna()
    gap_lo = number("shortfall_lo_kw").where(known_gap)
    gap_hi = number("shortfall_hi_kw").where(known_gap)
    made = {
        "Rank": number("rank").astype("Int64"),
        "Call": text("call"),
        "Address": text("address"),
        "City": text("city"),
        "Current use": words("use_title", "use_class"),
        "Lot sq ft": _square_feet(number("lot_area_m2")),
        "Building sq ft": _square_feet(number("building_area_m2")),
        "Fits (generators)": _span(n_lo, n_hi, 0),
        "Fits (MW)": _span(number("power_lo_kw") / 1000, number("power_hi_kw") / 1000, 3),
        "Grid shortfall (MW)": _span(gap_lo / 1000, gap_hi / 1000, 3),
        "Covers shortfall": text("covers_gap"),
        "Best fuel": text("fuel"),
        "What limits it": words("limit_text", "binding"),
        "How to fit more": words("lift_text", "lift_lever"),
        "Summary": text("sentence"),
        "What to check first": text("checks"),
        "Data complete": text("data_complete"),
        "Rank stability (%)": (100 * number("stability")).round().astype("Int64"),
        "Assessor ID": text("site_id"),
        "Map link": make_map_links(ranking["site_id"], map_name),
        "Latitude": number("lat"),
        "Longitude": number("lon"),
    }
    made["How to fit more"] = made["How to fit more"].fillna(describe_missing("lift_text"))
    return pd.DataFrame(made, index=ranking.index)[list(READER_COLUMNS)]


def make_table(ranking: pd.DataFrame, map_name: str = "map.html") -> pd.DataFrame:
    """Return the readers' columns, then every fact under its code name."""
    named = {fact.name: fact for fact in facts_of_table(ranking.columns)}
    names = list(named)
    coded = {}
    for name in names:
        decimals = named[name].decimals
        values = ranking[name]
        if decimals is not None:
            numbers = pd.to_numeric(values).astype(float).round(decimals) + 0.0
            whole = numbers.where(np.isfinite(numbers))
            values = whole.astype("Int64") if decimals == 0 else whole
        coded[name] = values
    reader = make_reader_columns(ranking, map_name)
    return pd.concat([reader, pd.DataFrame(coded, index=ranking.index)], axis=1)


def write_csv_bytes(whole: pd.DataFrame) -> bytes:
    """Return the ranking's table as CSV that Excel opens and whose texts cannot run as formulas."""
    missing = [NOT_KNOWN] * len(READER_COLUMNS)
    return _write_csv(whole, missing + [None] * (whole.shape[1] - len(missing)))


def write_plain_csv_bytes(table: pd.DataFrame) -> bytes:
    r"""Return any table as CSV, as `write_csv_bytes` does, with an empty cell for what is missing.

    >>> write_plain_csv_bytes(pd.DataFrame({"parcel_id": ["=1+1", "a"], "city": [None, "b"]}))[3:]
    b"parcel_id,city\r\n'=1+1,\r\na,b\r\n"
    """
    return _write_csv(table, [None] * table.shape[1])


def _write_csv(table: pd.DataFrame, missing: list[str | None]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(table.columns)
    columns = [
        [_csv_cell(value) for value in _cells(table, position, said)]
        for position, said in enumerate(missing)
    ]
    writer.writerows(zip(*columns, strict=True))
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8")


def write_xlsx_bytes(whole: pd.DataFrame, report: Report) -> bytes:
    """Return a table as an Excel workbook, with a second sheet that explains it."""
    out = io.BytesIO()
    options = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_numbers": False,
        "strings_to_urls": False,
    }
    with xlsxwriter.Workbook(out, options) as book:
        book.set_properties(
            {
                "title": f"{report.market_title}: {report.plan_title}",
                "comments": f"Run {report.run_id}",
                "created": FIXED_TIME.replace(tzinfo=None),
            }
        )
        _ranked_sheet(book, whole)
        _about_sheet(book, report, facts_of_table(whole.columns))
    return out.getvalue()


def _square_feet(areas_m2: pd.Series) -> pd.Series:
    return convert_units(areas_m2, "m2", "ft2").round(0).astype("Int64")


def _span(lo: pd.Series, hi: pd.Series, decimals: int) -> pd.Series:
    """Return a number if lo and hi are equal, 'not known' if one is missing, else 'lo to hi'."""

    def one(low: float, high: float) -> object:
        if np.isnan(low) or np.isnan(high):
            return NOT_KNOWN
        low, high = round(low, decimals) + 0.0, round(high, decimals) + 0.0
        if low != high:
            return f"{low:g} to {high:g}"
        return int(low) if decimals == 0 else low

    both = zip(lo.tolist(), hi.tolist(), strict=True)
    return pd.Series([one(low, high) for low, high in both], dtype=object, index=lo.index)


def _cells(whole: pd.DataFrame, position: int, missing: str | None) -> list[Any]:
    """Return a column's cells as str, int, float or bool, or `missing` for a missing fact."""
    values = whole.iloc[:, position]
    return [missing if pd.isna(value) else _plain(value) for value in values.tolist()]


def _plain(value: object) -> str | int | float | bool:
    if isinstance(value, date | np.datetime64):
        return f"{pd.Timestamp(value):%Y-%m-%d}"
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, bool | int | float) else str(value)


def _csv_cell(value: str | float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA_STARTS) else value
    return repr(value)


def _ranked_sheet(book: xlsxwriter.Workbook, whole: pd.DataFrame) -> None:
    sheet = book.add_worksheet("Ranked sites")
    head = book.add_format(
        {"bold": True, "text_wrap": True, "valign": "top", "bg_color": "#173f77",
         "font_color": "#ffffff", "border": 0}
    )  # fmt: skip
    fact_head = book.add_format(
        {"bold": True, "text_wrap": True, "valign": "top", "bg_color": "#e6e9ee"}
    )
    formats = {
        look: book.add_format({"num_format": look} if look else {})
        for look in ("", "0", "#,##0", "0.0##", "0.000000", "0.0###")
    }
    wrapped = book.add_format({"text_wrap": True, "valign": "top"})
    linked = book.add_format({"font_color": "#1f4e9e", "underline": 1})
    sheet.set_row(0, 32)
    for position, name in enumerate(whole.columns):
        reader = position < len(READER_COLUMNS)
        decimals = _decimals(name)
        plain = {None: "", 0: "0", 6: "0.000000"}.get(decimals, "0.0###")
        look, width = EXCEL_LOOK[name] if reader else (plain, min(max(len(name) + 2, 9), 24))
        cell = wrapped if name == "Summary" else formats[look]
        sheet.set_column(position, position, width)
        sheet.write_string(0, position, name, head if reader else fact_head)
        link = name == "Map link" and len(whole) <= EXCEL_URLS
        missing = NOT_KNOWN if position < len(READER_COLUMNS) else None
        for at, value in enumerate(_cells(whole, position, missing), start=1):
            if value is None:
                continue
            if isinstance(value, bool):
                sheet.write_boolean(at, position, value, cell)
            elif isinstance(value, str):
                kept = value if len(value) <= EXCEL_TEXT else value[: EXCEL_TEXT - 1] + "…"
                if link and len(kept) <= EXCEL_URL_LENGTH:
                    sheet.write_url(at, position, f"external:{kept}", linked, kept)
                else:
                    sheet.write_string(at, position, kept, cell)
            else:
                sheet.write_number(at, position, value, cell)
    sheet.freeze_panes(1, 3)
    sheet.autofilter(0, 0, max(len(whole), 1), whole.shape[1] - 1)


def _decimals(name: str) -> int | None:
    return next((fact.decimals for fact in facts_of_table([name])), None)


def _about_sheet(book: xlsxwriter.Workbook, report: Report, facts: tuple[Fact, ...]) -> None:
    sheet = book.add_worksheet("About")
    bold = book.add_format({"bold": True, "font_size": 13, "font_color": "#173f77"})
    strong = book.add_format({"bold": True, "bg_color": "#e6e9ee"})
    wrap = book.add_format({"text_wrap": True, "valign": "top"})
    sheet.set_column(0, 0, 34)
    sheet.set_column(1, 6, 30)
    at = 0

    def line(values: tuple[object, ...], look: Any = None) -> None:
        nonlocal at
        for column, value in enumerate(values):
            if isinstance(value, int):
                sheet.write_number(at, column, value, look)
            else:
                sheet.write_string(at, column, str(value)[:EXCEL_TEXT], look)
        at += 1

    line((f"{report.market_title}: {report.plan_title}",), bold)
    for said in (
        *report.first_lines,
        f"{NOT_ENGINEERING} Not screened: {'; '.join(NOT_SCREENED)}.",
    ):
        line((said,))
    at += 1
    line(("Assumptions",), bold)
    for said in (*report.assumptions, *report.estimates):
        line((said,))
    at += 1
    line(("What the columns mean",), bold)
    line(("Column", "In words", "Unit", "Note"), strong)
    for fact in facts:
        line((fact.name, fact.title, fact.unit or "", fact.note), wrap)
    at += 1
    line(("Sources",), bold)
    line(
        ("Title", "Publisher", "Layer", "Date", "Rows", "License and attribution", "Notes"),
        strong,
    )
    for one in report.sources:
        rights = f"{one.licence}. {one.attribution}"
        line((one.title, one.publisher, one.layer, one.vintage, one.rows, rights,
              "; ".join(one.notes)), wrap)  # fmt: skip
    at += 1
    line(("Health of the sources",), bold)
    line(HEALTH_COLUMNS, strong)
    for values in list_health(report):
        line(values, wrap)
    at += 1
    line(("Accounting",), bold)
    for values in (*list_accounting(report), (), ("Run", report.run_id), ("Night", report.night),
                   ("Plan digest", report.plan_digest),
                   ("Program version", report.program_version)):  # fmt: skip
        line(values)


def read_ranking(path: Path) -> gpd.GeoDataFrame:
    """Read a published ranked.parquet, with `machines` and `block` as shapes."""
    return gpd.read_parquet(path)


def list_health(report: Report) -> list[tuple[str | int, ...]]:
    """Return the values of HEALTH_COLUMNS for each source."""
    return [
        (
            one.title,
            one.verdict,
            one.good_on or "never",
            "" if one.rows_before is None else one.rows_before,
            one.age_limit,
            one.address,
            "; ".join(filter(None, (one.error, *one.warnings))),
        )
        for one in report.health
    ]


def list_accounting(report: Report) -> tuple[tuple[str, int], ...]:
    """Return the counts of parcels: all parcels, sites, and those set aside by each rule."""
    return (
        ("Parcels in", report.parcels_in),
        ("Sites ranked", report.sites),
        *((f"Set aside: {rule}", count) for rule, count in report.set_aside.items()),
        *((f"Use code not in the table: {code}", n) for code, n in report.unclassified.items()),
    )


def _typed(whole: pd.DataFrame) -> pd.DataFrame:
    """Return the table with one type per column: ranges as text, codes and dates as text."""
    columns = []
    for position, name in enumerate(whole.columns):
        values = whole.iloc[:, position]
        if name in {"Fits (generators)", "Fits (MW)", "Grid shortfall (MW)"}:
            values = values.map(lambda value: value if isinstance(value, str) else f"{value:g}")
        elif values.dtype == object or isinstance(values.dtype, pd.StringDtype):
            kinds = {type(value) for value in values if not pd.isna(value)}
            if kinds and kinds <= {bool, np.bool_}:
                values = values.astype("boolean")
            else:
                texts = [None if pd.isna(value) else str(_plain(value)) for value in values]
                values = pd.Series(texts, index=whole.index, dtype="str")
        columns.append(values.rename(name))
    return pd.concat(columns, axis=1)


def _write_parquet(whole: pd.DataFrame, ranking: gpd.GeoDataFrame, path: Path) -> None:
    """Write GeoParquet 1.1 (WKB, bbox covering), in rank order rather than along a curve."""
    shapes = {
        name: gpd.GeoSeries(ranking[name], crs=ranking.crs, index=ranking.index)
        for name in (*SHAPE_COLUMNS[::-1], "geometry")
        if name in ranking.columns
    }
    frame = pd.concat([_typed(whole), pd.DataFrame(shapes, index=ranking.index)], axis=1)
    gpd.GeoDataFrame(frame, geometry="geometry", crs=ranking.crs).to_parquet(
        path,
        index=False,
        compression="zstd",
        geometry_encoding="WKB",
        schema_version="1.1.0",
        write_covering_bbox=True,
    )


def _write_gpkg(whole: pd.DataFrame, ranking: gpd.GeoDataFrame, path: Path) -> None:
    """Write the sites and one layer per kind of shape; the dates in the file are fixed."""
    typed = _typed(whole)
    reader = {name.lower() for name in READER_COLUMNS}
    kept = [
        i
        for i, name in enumerate(typed.columns)
        if i < len(READER_COLUMNS) or name.lower() not in reader
    ]
    columns = typed.iloc[:, kept]
    brief = typed[["Rank", "Assessor ID", "Address", "Fits (generators)", "verdict"]]
    path.unlink(missing_ok=True)
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": f"{FIXED_TIME:%Y-%m-%dT%H:%M:%S.000Z}"})
    try:
        for layer, shape, said in (
            ("sites", "geometry", columns),
            *((name, name, brief) for name in SHAPE_COLUMNS),
        ):
            if shape not in ranking.columns or ranking[shape].isna().all():
                continue
            has_shape = ranking[shape].notna().to_numpy()
            shapes = _multi(ranking[shape][has_shape].to_numpy())
            frame = gpd.GeoDataFrame(
                said[has_shape].reset_index(drop=True), geometry=shapes, crs=ranking.crs
            )
            pyogrio.write_dataframe(
                frame, path, layer=layer, driver="GPKG", geometry_type="MultiPolygon"
            )
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def _multi(shapes: np.ndarray) -> np.ndarray:
    """Return polygons as multipolygons, because a GeoPackage layer has one geometry type."""
    single = shapely.get_type_id(shapes) == shapely.GeometryType.POLYGON
    made = shapes.copy()
    made[single] = shapely.multipolygons(shapes[single], indices=np.arange(single.sum()))
    return made
