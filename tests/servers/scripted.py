"""A server on loopback whose answers a test writes, good ones and bad ones."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

# An answer: its status, its headers and its body; a body in parts is sent part by part.
Answer = tuple[int, dict[str, str], bytes | list[bytes]]


class _Handler(BaseHTTPRequestHandler):
    """Answers what the test's function says for the path, its parameters and the headers."""

    def do_GET(self):
        parts = urlsplit(self.path)
        parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
        headers = {name.title(): text for name, text in self.headers.items()}
        self.server.asked.append((parts.path, parameters, headers))
        status, headers, body = self.server.answer(parts.path, parameters, self.headers)
        self.send_response(status)
        if isinstance(body, bytes):
            headers = {"Content-Length": str(len(body))} | headers
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            if isinstance(body, bytes):
                self.wfile.write(body)
                return
            for part in body:
                self.wfile.write(part)
                self.wfile.flush()
                time.sleep(0.1)
                if self.server.is_closing:
                    return
        except OSError:
            pass  # the client has gone

    def log_message(self, *_):
        pass


@contextmanager
def serving(answer: Callable[..., Answer]) -> Iterator[ThreadingHTTPServer]:
    """Serve what a function answers; `asked` lists each path, its parameters and the headers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as running:
        running.daemon_threads = True
        running.answer, running.asked, running.is_closing = answer, [], False
        running.address = f"http://127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield running
        finally:
            running.is_closing = True
            running.shutdown()
            thread.join()
