"""A Prefect server that the settings name and that does not answer is one sentence."""

import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.flows import hamlet

ROOT = Path(__file__).parents[2]
COMMAND = "import sys; from flows.cli import main; sys.exit(main())"


@pytest.fixture
def refresh(tmp_path):
    """Return a function that runs `padfinder refresh` with a server, as a user would."""
    hamlet.write(tmp_path)

    def run(url):
        return subprocess.run(
            [sys.executable, "-c", COMMAND, "refresh", "-m", "hamlet"],
            cwd=tmp_path,
            env={**os.environ, "PREFECT_API_URL": url, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run


class HealthOnly(BaseHTTPRequestHandler):
    """A server that says that it is well, and knows nothing else."""

    def do_GET(self):
        self.send_response(200 if self.path.endswith("/health") else 404)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"true")

    do_POST = do_GET  # noqa: N815 (a method's name)

    def log_message(self, *_):
        pass


def test_a_server_that_is_down(refresh, tmp_path):
    ran = refresh("http://me:sesame-pass@127.0.0.1:1/api")
    assert ran.returncode == 3
    assert "PREFECT_API_URL = http://***@127.0.0.1:1/api does not answer" in ran.stderr
    assert "What to do: start that server" in ran.stderr
    assert "Traceback" not in ran.stderr + ran.stdout
    assert "sesame-pass" not in ran.stderr + ran.stdout
    assert not (tmp_path / "var/store").exists()


def test_a_server_of_another_kind(refresh):
    with ThreadingHTTPServer(("127.0.0.1", 0), HealthOnly) as running:
        thread = Thread(target=running.serve_forever)
        thread.start()
        ran = refresh(f"http://127.0.0.1:{running.server_port}/api")
        running.shutdown()
        thread.join()
    assert ran.returncode == 3
    assert "does not answer as a Prefect server does" in ran.stderr
    assert "Traceback" not in ran.stderr + ran.stdout
