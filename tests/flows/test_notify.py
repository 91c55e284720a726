"""A person is told of a night's trouble once, and once more when all is well again."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

NIGHT = "--night"


class Hook(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.messages.append(json.loads(body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def hook(town, monkeypatch):
    """Return a server that keeps each message, whose secret address the town's settings have."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        server.messages, server.status = [], 200
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("HOOK", f"http://127.0.0.1:{server.server_port}/hook?key=sesame-secret")
        settings = town / "padfinder.toml"
        settings.write_text(f'notify_url = "${{HOOK}}"\n{settings.read_text("utf-8")}', "utf-8")
        yield server
        server.shutdown()
        thread.join()


def test_trouble_is_told_once_and_so_is_its_end(padfinder, town, hook):
    def run(day, *options):
        night = f"2026-04-{day:02}"
        return padfinder(town, "nightly", "--market", "hamlet", NIGHT, night, *options).code

    assert run(1) == 0
    assert hook.messages == []
    mains = next(town.rglob("mains.geojson"))
    whole = mains.read_bytes()
    mains.write_bytes(whole[:500])
    assert [run(2), run(3), run(4, "--stale-ok")] == [6, 6, 0]
    (message,) = hook.messages
    assert message["state"] == "trouble"
    assert message["night"] == "2026-04-02"
    assert list(message["troubles"]) == ["hamlet_mains"]
    assert "is cut off or not JSON" in message["text"]
    zoning = next(town.rglob("zoning.geojson"))
    zones = zoning.read_bytes()
    zoning.unlink()
    assert run(5) != 0
    assert list(hook.messages[1]["troubles"]) == ["hamlet_mains", "hamlet_zoning"]
    zoning.write_bytes(zones)
    assert run(6) == 6
    mains.write_bytes(whole)
    assert [run(7), run(8)] == [0, 0]
    assert [one["state"] for one in hook.messages] == ["trouble", "trouble", "well again"]
    assert hook.messages[2]["text"].endswith("night of 2026-04-07: all is well again.")


def test_a_hook_that_fails_does_not_stop_the_night(padfinder, town, hook):
    mains = next(town.rglob("mains.geojson"))
    whole = mains.read_bytes()
    mains.write_bytes(whole[:500])
    hook.status = 500
    for day in ("2026-04-01", "2026-04-02"):
        ran = padfinder(town, "nightly", "--market", "hamlet", NIGHT, day)
        assert ran.code == 6
        assert "nobody was told" in ran.err
        assert "sesame" not in ran.err
    # It is told as soon as it can be.
    assert len(hook.messages) == 2
    hook.status = 200
    padfinder(town, "nightly", "--market", "hamlet", NIGHT, "2026-04-03")
    padfinder(town, "nightly", "--market", "hamlet", NIGHT, "2026-04-04")
    assert len(hook.messages) == 3
