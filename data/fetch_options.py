"""Where the data of a source are, and how to read them."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from data.connection import REQUESTS_PER_S, SECONDS_MOST
from data.protocols.formats import RASTER_FORMATS, Format
from geo.addresses import show_address
from geo.model import Degrees, Frozen

ProtocolName = Literal["file", "raster", "arcgis", "ogc_features", "wfs", "opendatasoft", "ckan"]


def is_pattern(path: str) -> bool:
    """Return whether a path stands for many files.

    >>> is_pattern("parcels/*.geojson"), is_pattern("parcels.geojson")
    (True, False)
    """
    return any(mark in path for mark in "*?")


class FetchOptions(Frozen):
    """Where the data are and how to read them.

    Attributes:
        protocol: How the data are read: the rows of a file, the cells of a raster, or the rows of
            a server: `arcgis` (a layer of a FeatureServer or MapServer), `ogc_features` (a
            collection of an OGC API), `wfs`, `opendatasoft` (a dataset) or `ckan` (a resource).
        path: The file, relative to the folder of files that the user gives. A pattern such as
            `parcels/*.geojson`, or `**/*.shp` for folders too, reads many files as one source.
        url: Address of the file, if it is to be downloaded instead; also `s3://BUCKET/KEY`, where
            `*` in a key stands for many Parquet files and `{newest}` for the folder whose name
            comes last.
        fallback_urls: Addresses to try, in order, if `url` does not answer.
        headers: Headers to send with the request. In these and in addresses, ${NAME} stands for
            the environment variable of that name: a key or token that is never stored or shown.
        redirect_hosts: Other hosts to which an address may send on, such as "files.example.org".
        crs: CRS of the coordinates. It must agree with the file's own CRS, and is used if the file
            has none.
        format: Kind of the file, where it is not to be found out: one of data.protocols.formats.
            The kind is otherwise seen from the file's first bytes, and then from its name or, for a
            download, from the server's Content-Disposition and Content-Type.
        bytes_most: Most bytes of a download, and most that a zip or gzip may unpack to.
        seconds_most: Most seconds that all requests for the source may take together.
        requests_per_s: Most requests that are sent to a server in a second.
        page_rows: Most rows to ask a server for at once, if not as many as it offers.
        filter: Which rows to ask a server for, in the server's own language.
        coded: Columns of an ArcGIS layer whose codes are replaced by their words.
        bounds: West, south, east and north in degrees (WGS 84). Only rows whose box meets these
            bounds are read, and only these cells of a raster.
        market_bounds: Whether the bounds are those of the market that names the source.
        tags: For an OpenStreetMap extract: values to read by tag, such as
            `{ power = ["substation"] }`; `["*"]` is any value. A row that has one of them is read,
            each tag becomes a column, and the column `tag` has the first that it has, in the order
            in which they are listed here, as `power=substation`.
        member: File inside a zip, layer of a file with several, or sheet of the workbook (by
            default the first). For `wfs` the feature type; for `ckan` the name or id of the
            resource, and after "::" what is inside its file.
        header_row: Row of a workbook that holds the titles; the first is 1. Line breaks in a title
            are read as spaces.
        x: Column of a CSV or workbook with the x coordinate (easting, longitude). A table without
            coordinates needs a `place`.
        y: Column with the y coordinate (northing, latitude).
        wkt: Column of a CSV or workbook with the shape as well-known text, instead of x and y; also
            as well-known binary in hexadecimal digits.
        encoding: Text encoding of a CSV (by default UTF-8), or of a shapefile (by default what its
            .cpg or .dbf says).
        delimiter: Character between the columns of a CSV.
        decimal: Decimal mark of numbers in text.
    """

    protocol: ProtocolName
    path: str | None = None
    url: str | None = None
    fallback_urls: tuple[str, ...] = ()
    headers: dict[str, str] = {}
    redirect_hosts: tuple[str, ...] = ()
    crs: str
    format: Format | None = None
    bytes_most: Annotated[int, Field(ge=1)] = 4_000_000_000
    seconds_most: Annotated[float, Field(gt=0)] = SECONDS_MOST
    requests_per_s: Annotated[float, Field(gt=0)] = REQUESTS_PER_S
    page_rows: Annotated[int, Field(ge=1)] | None = None
    filter: str = ""
    coded: tuple[str, ...] = ()
    bounds: Degrees | None = None
    market_bounds: bool = False
    tags: dict[str, tuple[str, ...]] = {}
    member: str | None = None
    header_row: Annotated[int, Field(ge=1)] = 1
    x: str | None = None
    y: str | None = None
    wkt: str | None = None
    encoding: str | None = None
    delimiter: str = ","
    decimal: str = "."

    @model_validator(mode="after")
    def _check_one_location(self) -> Self:
        if (self.path is None) == (self.url is None):
            raise ValueError("give either path or url")
        if self.url is None and (self.fallback_urls or self.headers or self.redirect_hosts):
            raise ValueError("fallback_urls, headers and redirect_hosts apply to a url")
        if (self.url or "").startswith("s3://") and (self.is_server or self.fallback_urls):
            raise ValueError("an s3:// address is that of a file, without fallback_urls")
        if self.is_server and self.url is None:
            raise ValueError(f"protocol = {self.protocol!r} needs the url of a server")
        if not self.is_server and (self.page_rows or self.filter or self.coded):
            raise ValueError("page_rows, filter and coded apply to the protocols of servers")
        return self

    @model_validator(mode="after")
    def _check_reading(self) -> Self:
        if self.bounds is not None and self.market_bounds:
            raise ValueError("give either bounds or market_bounds")
        if self.format is not None and (self.format in RASTER_FORMATS) != (
            self.protocol == "raster"
        ):
            raise ValueError(f"format = {self.format!r} is not for protocol {self.protocol!r}")
        if self.format is not None and self.is_server and self.protocol != "ckan":
            raise ValueError(f"format is for files, and protocol = {self.protocol!r} has its own")
        if self.protocol == "raster" and self.path is not None and is_pattern(self.path):
            raise ValueError("path names one raster: join tiles in a .vrt file beside them")
        return self

    @property
    def is_server(self) -> bool:
        """Return whether the rows come from a server that is asked page by page."""
        return self.protocol not in {"file", "raster"}

    @property
    def file_member(self) -> str | None:
        """Return what `member` names inside the file, apart from what it names at a server."""
        if not self.is_server or self.member is None:
            return self.member
        return self.member.partition("::")[2] or None

    def hide_secrets(self) -> Self:
        """Return the options without what may be secret, to be stored or shown."""
        headers = {name: text if "${" in text else "***" for name, text in self.headers.items()}
        shown = tuple(show_address(url) for url in self.fallback_urls)
        url = None if self.url is None else show_address(self.url)
        return self.model_copy(update={"url": url, "fallback_urls": shown, "headers": headers})
