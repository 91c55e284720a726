"""A small ArcGIS server for tests: a layer in memory, which misbehaves as it is told."""

import gzip
import json
import socket
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import duckdb
import pandas as pd

PATH = "/arcgis/rest/services/town/FeatureServer/0"
TYPES = {
    "int": "esriFieldTypeInteger",
    "float": "esriFieldTypeDouble",
    "str": "esriFieldTypeString",
}


class Layer:
    """A layer, and how its server behaves.

    Attributes:
        info: What the server says of it.
        rows: Its rows by object id: attributes and geometry.
        rows_most: The most rows that an answer has.
        hook: Called with the kind of a request (layer, ids, count, rows), its parameters and its
            number; returns an answer instead of the ordinary one, or None.
        change: Called with an answer's object, its kind and its number, before it is sent.
    """

    def __init__(self, rows, *, types, geometry_type="esriGeometryPolygon", wkid=26986, **info):
        self.id_column = next(name for name, kind in types.items() if kind == "id")
        fields = [
            {"name": name, "type": TYPES.get(kind, f"esriFieldType{kind}"), "alias": name}
            for name, kind in (types | {self.id_column: "OID"}).items()
        ]
        self.reference = {"wkid": wkid, "latestWkid": wkid}
        self.info = {
            "currentVersion": 11.1,
            "id": 0,
            "name": "Parcels",
            "type": "Feature Layer" if geometry_type else "Table",
            "objectIdField": self.id_column,
            "fields": fields,
            "maxRecordCount": 2000,
            "capabilities": "Query",
            "supportedQueryFormats": "JSON, geoJSON",
            "advancedQueryCapabilities": {"supportsPagination": True, "supportsOrderBy": True},
        }
        if geometry_type:
            self.info["geometryType"] = geometry_type
            self.info["extent"] = {"spatialReference": self.reference}
        self.info |= info
        self.rows_most = self.info["maxRecordCount"]
        self.rows = {}
        self.put(rows)
        self.hook = self.change = None
        self.asked = []
        self.counts = Counter()

    def put(self, rows):
        """Add rows, or replace those with the same ids."""
        for attributes, geometry in rows:
            self.rows[attributes[self.id_column]] = (attributes, geometry)
        self.refresh()

    def refresh(self):
        """Look at the rows again, after they were changed."""
        attributes = [attributes for attributes, _ in self.rows.values()]
        names = [field["name"] for field in self.info["fields"]]
        frame = pd.DataFrame(attributes, columns=names)
        frame[self.id_column] = list(self.rows)
        for field in self.info["fields"]:
            if field["type"] == "esriFieldTypeDate":
                frame[field["name"]] = pd.to_datetime(frame[field["name"]], unit="ms")
        self.database = duckdb.connect()
        self.database.register("rows", frame)
        self.database.execute("create table kept as from rows")

    def find(self, parameters):
        """Return the ids of the rows that a query is for, in their order."""
        where, quoted = parameters["where"], f'"{self.id_column}"'
        if "." in self.id_column:
            # DuckDB would take the part before the dot for a table.
            where = where.replace(self.id_column, quoted)
        with self.database.cursor() as cursor:
            query = f"select {quoted} from kept where {where} order by 1"  # noqa: S608
            found = cursor.execute(query).fetchall()
        return [number for (number,) in found]

    def answer(self, parameters):
        """Return the kind of a request and the object that answers it."""
        if "where" not in parameters:
            return "layer", self.info
        ids = self.find(parameters)
        if parameters.get("returnIdsOnly") == "true":
            return "ids", {"objectIdFieldName": self.id_column, "objectIds": ids}
        if parameters.get("returnCountOnly") == "true":
            return "count", {"count": len(ids)}
        most = min(self.rows_most, int(parameters.get("resultRecordCount", self.rows_most)))
        names = parameters["outFields"].split(",")
        fields = [one for one in self.info["fields"] if one["name"] in names or names == ["*"]]
        features = []
        for number in ids[:most]:
            attributes, geometry = self.rows[number]
            feature = {"attributes": {one["name"]: attributes.get(one["name"]) for one in fields}}
            if parameters["returnGeometry"] == "true":
                feature["geometry"] = geometry
            features.append(feature)
        answer = {"objectIdFieldName": self.id_column, "fields": fields, "features": features}
        if self.info.get("geometryType"):
            answer |= {
                "geometryType": self.info["geometryType"],
                "spatialReference": self.reference,
            }
        if len(ids) > most:
            answer["exceededTransferLimit"] = True
        return "rows", answer


class Handler(BaseHTTPRequestHandler):
    """Answers for the layer, or does what its hook says."""

    protocol_version = "HTTP/1.1"
    # Otherwise the body waits 40 ms for the reader's receipt of the headers.
    disable_nagle_algorithm = True

    def do_GET(self):
        layer = self.server.layer
        split = urlsplit(self.path)
        parameters = dict(parse_qsl(split.query, keep_blank_values=True))
        if split.path.rstrip("/") not in {PATH, f"{PATH}/query"}:
            self.reply(404, {}, b"no such layer")
            return
        kind = "layer"
        if "where" in parameters:
            kind = next(
                (
                    name
                    for name, key in (("ids", "returnIdsOnly"), ("count", "returnCountOnly"))
                    if parameters.get(key) == "true"
                ),
                "rows",
            )
        layer.counts[kind] += 1
        layer.asked.append((kind, parameters, dict(self.headers)))
        nth = layer.counts[kind]
        if layer.hook is not None and (done := layer.hook(kind, parameters, nth)) is not None:
            if callable(done):
                done(self)
            else:
                self.reply(*done)
            return
        try:
            _, answer = layer.answer(parameters)
        except duckdb.Error as error:
            answer = {"error": {"code": 400, "message": str(error)[:80], "details": []}}
        if layer.change is not None:
            answer = layer.change(answer, kind, nth) or answer
        self.reply(200, {"Content-Type": "application/json"}, json.dumps(answer).encode())

    def reply(self, status, headers, body):
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    """A server that says nothing of readers who went away."""

    def handle_error(self, *_):
        pass


@contextmanager
def serving(layer):
    """Start a server for a layer; yield the layer, with its address as `url`."""
    with Server(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        running.layer = layer
        layer.server, layer.closing = running, threading.Event()
        layer.url = f"http://127.0.0.1:{running.server_port}{PATH}"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield layer
        finally:
            layer.closing.set()
            running.shutdown()
            thread.join()


def cut_connection(handler):
    """Close the connection without an answer."""
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def cut_body(handler):
    """Promise more bytes than are sent."""
    handler.send_response(200)
    handler.send_header("Content-Length", "10000")
    handler.end_headers()
    handler.wfile.write(b'{"features": [')
    handler.close_connection = True


def say_nothing(handler):
    """Keep the connection open, and never answer."""
    handler.server.layer.closing.wait(30)
    handler.close_connection = True


def drip(handler):
    """Send one byte at a time, for as long as somebody reads."""
    handler.send_response(200)
    handler.end_headers()
    _drip(handler, b" " * 1000)


def drip_headers(handler):
    """Send the headers one byte at a time."""
    _drip(handler, b"HTTP/1.1 200 OK\r\nX-Filler: " + b"a" * 1000)


def _drip(handler, body):
    try:
        for number in body:
            handler.wfile.write(bytes([number]))
            handler.wfile.flush()
            if handler.server.layer.closing.wait(0.1):
                break
    except OSError:
        pass
    handler.close_connection = True


def never_end(handler):
    """Send blanks without end."""
    handler.send_response(200)
    handler.end_headers()
    try:
        while not handler.server.layer.closing.is_set():
            handler.wfile.write(b" " * 65_536)
    except OSError:
        pass
    handler.close_connection = True


def gzip_bomb(handler):
    """Send a small answer that unpacks to 50 MB."""
    body = gzip.compress(b" " * 50_000_000, compresslevel=1)
    handler.reply(200, {"Content-Encoding": "gzip"}, body)
