"""Koop, Esri's own FeatureServer code, which serves GeoJSON as layers of a FeatureServer."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.servers.running import find_port, require, running

FOLDER = Path(__file__).parent / "koop"


@contextmanager
def serving_layers(
    folder: Path, layers: Mapping[str, tuple[Path, str | None, int]]
) -> Iterator[str]:
    """Serve GeoJSON files; yield the address, below which a layer is at NAME/FeatureServer/0.

    Args:
        folder: A folder for the server's files.
        layers: By name: the file, its column of object ids (None: Koop makes them from the rows),
            and the most rows of an answer.

    Yields:
        The address.
    """
    remedy = "run .ci/install_koop, which needs Debian's nodejs and npm"
    node = require("node", remedy)
    # A package whose folder is there has been installed whole.
    require(FOLDER / "node_modules" / ".bin" / "gjv", remedy)
    files = []
    for name, (path, id_column, most) in layers.items():
        collection = json.loads(path.read_text("utf-8"))
        collection["metadata"] = {"name": name, "maxRecordCount": most}
        if id_column:
            collection["metadata"]["idField"] = id_column
        own = folder / f"{name}.geojson"
        own.write_text(json.dumps(collection), "utf-8")
        files.append(f"{name}={own}")
    port = find_port()
    address = f"http://127.0.0.1:{port}"
    command = [node, FOLDER / "serve.js", port, *files]
    ready = f"{address}/{next(iter(layers))}/FeatureServer/0?f=json"
    with running(command, ready, folder / "koop.log"):
        yield address
