"""Every kind of network trouble is one sentence that names the source, on real local servers."""

import datetime as dt
import gzip
import ipaddress
import logging
import pickle
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from data.http import download_file
from geo.errors import ConfigError, SourceChanged, SourceDown, StoreError

PASSWORDS = Path("/etc/passwd").as_uri()
CSV = b"a,b\n1,2\n"
SECRETS = ("sesame-user", "sesame-pass", "sesame-token", "sesame-header")


class Handler(BaseHTTPRequestHandler):
    """Answers what the server's table says for the path: status, headers and body."""

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        path = self.path.split("?")[0]
        status, headers, body = self.server.answers.get(path, (200, {}, CSV))
        if callable(body):
            body = body(self)
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def serving(answers, context=None):
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.answers, running.asked = answers, []
        if context is not None:
            running.socket = context.wrap_socket(running.socket, server_side=True)
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def server():
    with serving({}) as running:
        running.address = f"http://127.0.0.1:{running.server_port}"
        yield running


def get(url, tmp_path, **options):
    """Download one or several addresses; return the file."""
    path = tmp_path / "answer"
    urls = [url] if isinstance(url, str) else url
    options = {"source_id": "county", "timeout_s": 5.0} | options
    download_file(urls, path, **options)
    return path


def refused(url, tmp_path, kind, **options):
    """Return the error of a download, which leaves no file and is one sentence and a remedy."""
    with pytest.raises(kind) as caught:
        get(url, tmp_path, **options)
    assert not (tmp_path / "answer").exists()
    text = str(caught.value)
    assert "'county'" in text or "sources/county.toml" in text
    assert len(text.splitlines()) == 2
    assert text.splitlines()[1].startswith("  What to do: ")
    return caught.value


# ---------------------------------------------------------------------------------------------
# Statuses


@pytest.mark.parametrize(
    ("status", "kind", "fault"),
    [
        (401, SourceChanged, "forbidden"),
        (403, SourceChanged, "forbidden"),
        (404, SourceChanged, "gone"),
        (410, SourceChanged, "gone"),
        (400, SourceChanged, "changed"),
        (304, SourceChanged, "changed"),
        (408, SourceDown, "stale"),
        (429, SourceDown, "stale"),
        (500, SourceDown, "stale"),
        (503, SourceDown, "stale"),
    ],
)
def test_each_status_says_what_became_of_the_source(server, tmp_path, status, kind, fault):
    server.answers["/x"] = (status, {}, b"" if status == 304 else b"no")
    error = refused(f"{server.address}/x", tmp_path, kind)
    assert f"answers {status} (" in error.wrong
    assert error.fault == fault


def test_a_server_may_ask_to_wait(server, tmp_path):
    server.answers["/x"] = (429, {"Retry-After": "120"}, b"slow down")
    error = refused(f"{server.address}/x", tmp_path, SourceDown)
    assert error.wait_s == 120
    assert "asks to wait 120 s" in error.wrong
    assert pickle.loads(pickle.dumps(error)).wait_s == 120  # noqa: S301 (our own bytes)
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    server.answers["/x"] = (503, {"Retry-After": f"{later:%a, %d %b %Y %H:%M:%S GMT}"}, b"")
    assert 3500 < refused(f"{server.address}/x", tmp_path, SourceDown).wait_s <= 3600
    server.answers["/x"] = (503, {"Retry-After": "soon"}, b"")
    assert refused(f"{server.address}/x", tmp_path, SourceDown).wait_s is None


# ---------------------------------------------------------------------------------------------
# Redirects


def test_a_redirect_within_the_host_is_followed(server, tmp_path):
    server.answers["/a"] = (302, {"Location": "/b?page=2"}, b"")
    server.answers["/b"] = (307, {"Location": f"{server.address}/c"}, b"")
    assert get(f"{server.address}/a", tmp_path).read_bytes() == CSV
    assert [path for path, _ in server.asked] == ["/a", "/b?page=2", "/c"]


def test_a_redirect_in_a_circle_is_refused(server, tmp_path):
    server.answers["/a"] = (302, {"Location": "/b"}, b"")
    server.answers["/b"] = (302, {"Location": "/a"}, b"")
    assert "in a circle" in refused(f"{server.address}/a", tmp_path, SourceChanged).wrong


@pytest.mark.parametrize("target", [PASSWORDS, "ftp://127.0.0.1/a", "gopher://x/"])
def test_a_redirect_to_a_file_is_refused(server, tmp_path, target):
    server.answers["/a"] = (302, {"Location": target}, b"")
    error = refused(f"{server.address}/a", tmp_path, SourceChanged, redirect_hosts=["127.0.0.1"])
    assert "not a network address" in error.wrong


@pytest.mark.parametrize("target", ["data:text/csv,a", "http://h:port/"])
def test_a_redirect_to_what_is_no_address_is_refused(server, tmp_path, target):
    server.answers["/a"] = (302, {"Location": target}, b"")
    refused(f"{server.address}/a", tmp_path, (SourceChanged, SourceDown))


def test_a_redirect_to_another_host_needs_the_declaration(server, tmp_path):
    """The other host gets no header that is declared for the first."""
    with serving({}) as other:
        target = f"http://localhost:{other.server_port}/b?key=sesame-token"
        server.answers["/a"] = (302, {"Location": target}, b"")
        error = refused(f"{server.address}/a", tmp_path, SourceChanged)
        assert "another host" in error.wrong
        assert "sesame" not in str(error)
        host = f"localhost:{other.server_port}"
        assert f'redirect_hosts = ["{host}"] to [fetch] in sources/county.toml' in error.remedy
        assert other.asked == []
        allowed = {"redirect_hosts": [host], "headers": {"X-Key": "sesame-header"}}
        assert get(f"{server.address}/a", tmp_path, **allowed).read_bytes() == CSV
        assert server.asked[-1][1]["X-Key"] == "sesame-header"
        ((_, headers),) = other.asked
        assert "X-Key" not in headers
        # Another port of the same host is another server.
        server.answers["/c"] = (302, {"Location": f"http://127.0.0.1:{other.server_port}/"}, b"")
        refused(f"{server.address}/c", tmp_path, SourceChanged)


# ---------------------------------------------------------------------------------------------
# TLS


def write_certificate(folder, *, expired=False):
    """Write a self-signed certificate of 127.0.0.1 with its key; return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    start = dt.datetime.now(dt.UTC) - dt.timedelta(days=30)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=10 if expired else 365))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    plain = serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@contextmanager
def serving_tls(path, answers):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    with serving(answers, context) as running:
        yield running


def test_a_certificate_that_nobody_vouches_for(tmp_path, monkeypatch):
    path = write_certificate(tmp_path)
    with serving_tls(path, {}) as running:
        address = f"https://127.0.0.1:{running.server_port}/a.csv"
        error = refused(address, tmp_path, SourceDown)
        assert "its TLS certificate is not trusted: self-signed certificate" in error.wrong
        assert "SSL_CERT_FILE" in error.remedy
        # The remedy works.
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        assert get(address, tmp_path).read_bytes() == CSV


def test_an_expired_certificate(tmp_path, monkeypatch):
    path = write_certificate(tmp_path, expired=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with serving_tls(path, {}) as running:
        error = refused(f"https://127.0.0.1:{running.server_port}/", tmp_path, SourceDown)
    assert "not trusted: certificate has expired" in error.wrong


def test_from_https_to_http_is_refused_even_where_the_host_is_declared(
    server, tmp_path, monkeypatch
):
    path = write_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with serving_tls(path, {"/a": (302, {"Location": f"{server.address}/b"}, b"")}) as running:
        address = f"https://127.0.0.1:{running.server_port}/a"
        error = refused(address, tmp_path, SourceChanged, redirect_hosts=["127.0.0.1"])
    assert "from https to http" in error.wrong
    assert server.asked == []


def test_a_plain_server_is_no_secure_one(server, tmp_path):
    address = server.address.replace("http:", "https:")
    assert "no secure connection" in refused(address, tmp_path, SourceDown).wrong


def test_wrong_network_settings_are_named(server, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nowhere.pem"))
    assert "SSL_CERT_FILE" in refused(server.address, tmp_path, ConfigError).remedy


# ---------------------------------------------------------------------------------------------
# Hosts and addresses


@pytest.mark.parametrize("address", ["http://county.invalid/a.csv", "http://a..b/c", "http://.x/"])
def test_a_host_that_does_not_exist(tmp_path, address):
    assert "there is no such host" in refused(address, tmp_path, SourceDown).wrong


@pytest.mark.parametrize(
    "address",
    ["a.csv", PASSWORDS, "ftp://x/a", "http://", "http://h:port/"],
)
def test_what_is_not_a_network_address(tmp_path, address):
    assert "not an address" in refused(address, tmp_path, SourceChanged).wrong


# ---------------------------------------------------------------------------------------------
# Bodies


def drip(_):
    """Return a body that is shorter than its header says."""
    return CSV


def test_a_connection_cut_in_the_middle(server, tmp_path):
    server.answers["/x"] = (200, {"Content-Length": "1000"}, drip)
    error = refused(f"{server.address}/x", tmp_path, SourceDown)
    assert "the answer is cut off" in error.wrong


@pytest.mark.parametrize("header", [{}, {"Content-Encoding": "identity"}])
def test_an_answer_larger_than_allowed(server, tmp_path, header):
    server.answers["/x"] = (200, header, b"x" * 1001)
    error = refused(f"{server.address}/x", tmp_path, SourceChanged, bytes_most=1000)
    assert "more than 1,000 bytes" in error.wrong
    assert "fetch.bytes_most in sources/county.toml" in error.remedy
    assert len(get(f"{server.address}/x", tmp_path, bytes_most=1001).read_bytes()) == 1001


def test_an_answer_that_unpacks_to_more_than_allowed(server, tmp_path):
    server.answers["/x"] = (200, {"Content-Encoding": "gzip"}, gzip.compress(b"x" * 1_000_000))
    error = refused(f"{server.address}/x", tmp_path, SourceChanged, bytes_most=100_000)
    assert "more than 100,000 bytes" in error.wrong


@pytest.mark.parametrize(
    "page",
    [
        b"<!DOCTYPE html><html>",
        b"\xef\xbb\xbf\n<HTML>",
        b'<?xml version="1.0"?>\n<!-- gone --><html xmlns="x">',
        b"<head><title>Sign in</title>",
    ],
)
def test_a_page_where_data_were_due(server, tmp_path, page):
    server.answers["/x"] = (200, {}, page)
    assert "an HTML page" in refused(f"{server.address}/x", tmp_path, SourceChanged).wrong


@pytest.mark.parametrize(
    ("code", "fault"), [(499, "forbidden"), (403, "forbidden"), (404, "gone"), (400, "changed")]
)
def test_an_error_within_a_good_answer(server, tmp_path, code, fault):
    """ArcGIS servers answer 200 with the status inside; its words may have several lines."""
    body = b'{"error": {"code": %d, "message": "Token\\nrequired\\u001b[31m"}}' % code
    server.answers["/x"] = (200, {}, body)
    error = refused(f"{server.address}/x", tmp_path, SourceChanged)
    assert error.fault == fault
    assert str(error).replace("\n", "").isprintable()


def test_a_file_that_cannot_be_written(server, tmp_path):
    with pytest.raises(StoreError, match="cannot be written"):
        download_file([server.address], tmp_path / "no folder" / "x", source_id="county")


# ---------------------------------------------------------------------------------------------
# Several addresses, and secrets


def test_the_reason_of_each_address_before_is_kept(server, tmp_path):
    server.answers |= {"/a": (403, {}, b"no"), "/b": (500, {}, b"no")}
    urls = [f"{server.address}/{name}" for name in "abc"]
    server.answers["/c"] = (200, {"Content-Type": "text/csv"}, CSV)
    answered = download_file(urls, tmp_path / "x", source_id="county")
    assert (answered.url, answered.content_type) == (urls[2], "text/csv")
    assert answered.failed == (
        f"{urls[0]} answers 403 (Forbidden)",
        f"{urls[1]} answers 500 (Internal Server Error)",
    )


def test_variables_fill_addresses_and_headers(server, tmp_path, monkeypatch):
    monkeypatch.setenv("COUNTY_KEY", "sesame-token")
    get(
        f"{server.address}/${{COUNTY_KEY}}/a?key=${{COUNTY_KEY}}",
        tmp_path,
        headers={"Authorization": "Bearer ${COUNTY_KEY}"},
    )
    ((path, headers),) = server.asked
    assert path == "/sesame-token/a?key=sesame-token"
    assert headers["Authorization"] == "Bearer sesame-token"
    monkeypatch.delenv("COUNTY_KEY")
    (tmp_path / "answer").unlink()
    error = refused(f"{server.address}/${{COUNTY_KEY}}", tmp_path, ConfigError)
    assert "${COUNTY_KEY}" in error.wrong


@pytest.mark.parametrize(
    "answer",
    [
        (403, {}, b"no"),
        (200, {}, b'{"error": "token sesame-token of sesame-user is not valid: sesame-header"}'),
        (302, {"Location": "http://sesame-user:sesame-pass@other/?t=sesame-token"}, b""),
        (302, {"Location": "http://other/sesame-header/x"}, b""),
        (200, {"Content-Length": "1000"}, b"short"),
    ],
)
def test_no_secret_is_shown_or_logged(server, tmp_path, monkeypatch, caplog, answer):
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore"):
        caplog.set_level(logging.DEBUG, logger=name)
    monkeypatch.setenv("COUNTY_KEY", "sesame-header")
    server.answers["/x/sesame-header"] = answer
    address = server.address.replace("://", "://sesame-user:sesame-pass@")
    address += "/x/${COUNTY_KEY}?token=sesame-token"
    error = refused(
        address, tmp_path, (SourceChanged, SourceDown), headers={"X-Key": "${COUNTY_KEY}"}
    )
    ((path, headers),) = server.asked
    assert path == "/x/sesame-header?token=sesame-token"
    assert headers["Authorization"].startswith("Basic ")
    said = str(error) + repr(error) + caplog.text
    assert not [secret for secret in SECRETS if secret in said]
