"""pygeoapi, which serves GeoJSON files as collections of an OGC API."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.servers.running import PYTHON, find_port, require, running

_TEXT = {"en": "Tests"}


def _describe(name: str, file: Path, key: str, extent, crs):
    return {
        "type": "collection",
        "title": name,
        "description": name,
        "keywords": ["test"],
        "links": [],
        "extents": {
            "spatial": {"bbox": extent, "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}
        },
        "providers": [
            {
                "type": "feature",
                "name": "GeoJSON",
                "data": str(file),
                "id_field": key,
                "crs": crs,
            }
        ],
    }


@contextmanager
def serving_collections(
    folder: Path, files: Mapping[str, tuple[Path, str]], *, most: int = 1000
) -> Iterator[str]:
    """Serve GeoJSON files, each with its column of ids, and yield the address of the server."""
    python = require(PYTHON, "run .ci/install_python_servers")
    port = find_port()
    address = f"http://127.0.0.1:{port}"
    crs = [
        "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
        "http://www.opengis.net/def/crs/EPSG/0/2249",
        "http://www.opengis.net/def/crs/EPSG/0/26986",
        "http://www.opengis.net/def/crs/EPSG/0/3035",
    ]
    config = {
        "server": {
            "bind": {"host": "127.0.0.1", "port": port},
            "url": address,
            "mimetype": "application/json; charset=UTF-8",
            "encoding": "utf-8",
            "language": "en-US",
            "limits": {"default_items": 10, "max_items": most},
            "map": {"url": "http://127.0.0.1/{z}", "attribution": "none"},
        },
        "logging": {"level": "ERROR"},
        "metadata": {
            "identification": {
                "title": "Tests",
                "description": "Tests",
                "keywords": ["test"],
                "keywords_type": "theme",
                "terms_of_service": "none",
                "url": address,
            },
            "license": {"name": "none", "url": address},
            "provider": {"name": "Tests", "url": address},
            "contact": {"name": "Tests"},
        },
        "resources": {
            name: _describe(name, file, key, [-71.2, 42.3, -71.0, 42.5], crs)
            for name, (file, key) in files.items()
        },
    }
    # JSON is YAML too.
    (folder / "config.yml").write_text(json.dumps(config))
    (folder / "openapi.yml").write_text(json.dumps({"openapi": "3.0.2", "info": {}, "paths": {}}))
    start = "from pygeoapi.flask_app import APP; APP.run('127.0.0.1', {port}, threaded=True)"
    command = [python, "-c", start.format(port=port)]
    with running(
        command,
        f"{address}/conformance?f=json",
        folder / "pygeoapi.log",
        PYGEOAPI_CONFIG=str(folder / "config.yml"),
        PYGEOAPI_OPENAPI=str(folder / "openapi.yml"),
    ):
        yield address
