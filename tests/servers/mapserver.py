"""MapServer, a CGI program, which serves a GeoPackage as feature types of a WFS."""

import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import geopandas as gpd

from tests.servers.running import require

_LAYER = """
  LAYER
    NAME "{name}"
    TYPE {kind}
    STATUS ON
    CONNECTIONTYPE OGR
    CONNECTION "{file}"
    DATA "{name}"
    EXTENT {extent}
    PROJECTION "init=epsg:4326" END
    TEMPLATE "none"
    METADATA
      "wfs_title" "{name}"
      "wfs_srs" "EPSG:4326 EPSG:2249 EPSG:26986 EPSG:3035"
      "gml_include_items" "all"
      "gml_featureid" "{key}"
      "gml_types" "auto"
      "wfs_enable_request" "*"
      {metadata}
    END
  END
"""
_MAP = """
MAP
  NAME "tests"
  EXTENT -71.2 42.3 -71.0 42.5
  PROJECTION "init=epsg:4326" END
  WEB
    METADATA
      "wfs_title" "Tests"
      "wfs_onlineresource" "{address}"
      "wfs_enable_request" "*"
      "wfs_srs" "EPSG:4326 EPSG:2249 EPSG:26986 EPSG:3035"
      {most}
    END
  END
{layers}
END
"""


class _Handler(BaseHTTPRequestHandler):
    """Runs the program for each request, as a web server does."""

    def do_GET(self):
        self.server.asked.append(self.path)
        path, _, query = self.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"],
            "GATEWAY_INTERFACE": "CGI/1.1",
            "REQUEST_METHOD": "GET",
            "QUERY_STRING": query,
            "SCRIPT_NAME": path,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": str(self.server.server_port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "MS_MAPFILE": str(self.server.mapfile),
            "MAPSERVER_CONFIG_FILE": str(self.server.mapfile.with_name("mapserver.conf")),
        }
        done = subprocess.run(
            [self.server.program],
            env=environment,
            capture_output=True,
            timeout=60,
            check=False,
        )
        head, _, body = done.stdout.replace(b"\r\n", b"\n").partition(b"\n\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in (fields | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def serving_types(
    folder: Path, layers: Mapping[str, tuple[gpd.GeoDataFrame, str]], *, most: int | None = None
) -> Iterator[ThreadingHTTPServer]:
    """Serve frames, each with its column of ids, as feature types.

    Args:
        folder: A folder for the server's files.
        layers: Each frame and its column of ids, by the name of the feature type.
        most: The most features that the server gives at once, if it has a limit.

    Yields:
        The server. `address` is its address, and `asked` lists what was asked.
    """
    program = require("mapserv", "apt-get install cgi-mapserver")
    file = folder / "layers.gpkg"
    texts = []
    for name, (frame, key) in layers.items():
        frame.to_file(file, layer=name, driver="GPKG", engine="pyogrio")
        kinds = {"Polygon": "POLYGON", "LineString": "LINE", "Point": "POINT"}
        kind = kinds[frame.geometry.iloc[0].geom_type.removeprefix("Multi")]
        extent = " ".join(str(number) for number in frame.total_bounds)
        texts.append(
            _LAYER.format(name=name, kind=kind, file=file, key=key, extent=extent, metadata="")
        )
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.address = f"http://127.0.0.1:{server.server_port}/wfs"
        server.program, server.asked = program, []
        server.mapfile = folder / "tests.map"
        limit = "" if most is None else f'"wfs_maxfeatures" "{most}"'
        server.mapfile.write_text(
            _MAP.format(address=server.address, layers="".join(texts), most=limit)
        )
        (folder / "mapserver.conf").write_text(
            'CONFIG\n  ENV\n    MS_MAP_PATTERN "."\n  END\nEND\n'
        )
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
