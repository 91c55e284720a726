"""What a failed download means: in words, and for the source."""

import datetime as dt
import json
import re
import socket
import ssl
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import httpx

from geo.errors import Fault

RETRY = "try again later; the last good snapshot stays in use"
# A server that answers with such a status, or a higher one, is itself at fault.
SERVER_ERROR = 500
# What a status says of a source; ArcGIS servers use 498 and 499 for a wrong and a missing token.
FAULTS: dict[object, Fault] = {
    **dict.fromkeys((401, 403, 498, 499), "forbidden"),
    **dict.fromkeys((404, 410), "gone"),
}
_REPORT_TEXT = re.compile(rb"<(?:\w+:)?(ExceptionText|ServiceException)\b[^>]*>([^<]+)<")
_HTML = (b"<!doctype html", b"<html", b"<head>", b"<body", b"<title", b"<meta ", b"<script")


def read_wait(text: str) -> float | None:
    """Return the seconds that a Retry-After header asks for: a number or a date.

    >>> read_wait("120")
    120.0
    """
    if text.strip().isascii() and text.strip().isdigit():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    now = dt.datetime.now(dt.UTC if until.tzinfo else None)
    return max((until - now).total_seconds(), 0.0)


def explain_trouble(error: Exception, timeout_s: float) -> str:
    """Return what went wrong with a connection, in words, with the library's name for it."""
    words = str(error)
    certificate = find_cause(error, ssl.SSLCertVerificationError)
    if isinstance(certificate, ssl.SSLCertVerificationError):
        words = f"its TLS certificate is not trusted: {certificate.verify_message}"
    elif isinstance(error, httpx.TimeoutException):
        words = f"no answer within {timeout_s:g} s"
    elif find_cause(error, socket.gaierror) or isinstance(error, UnicodeError):
        words = "there is no such host"
    elif find_cause(error, ssl.SSLError):
        words = "no secure connection can be made"
    elif find_cause(error, ConnectionRefusedError):
        words = "the connection is refused"
    elif isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
        words = f"the answer is cut off, or is not HTTP ({error})"
    return f"{words} [{type(error).__name__}]".strip()


def find_cause(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    """Return the error of this kind behind an error, if there is one."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error


class BodyError(NamedTuple):
    """What is wrong with the body of an answer whose status is 200.

    Attributes:
        wrong: In words.
        fault: What it says of the source.
        code: The status that the body itself gives; 0 if it gives none.
    """

    wrong: str
    fault: Fault = "changed"
    code: int = 0


def find_body_error(head: bytes, size: int) -> BodyError | None:
    """Return what is wrong with the body of an answer whose status is 200, or None.

    `head` is the start of the body, and `size` its length in bytes.
    """
    if size == 0:
        return BodyError("an empty body")
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    # A page may begin with an XML declaration and comments.
    page = re.sub(rb"\A(\s*(<\?xml.*?\?>|<!--.*?-->))+\s*", b"", start, flags=re.DOTALL)
    if page[:64].lower().startswith(_HTML):
        return BodyError("an HTML page")
    if b"exceptionreport" in head[:2000].lower():
        return BodyError(f"an OGC exception report{_quote_report(head)}")
    # ArcGIS servers answer 200 with {"error": {...}}; such bodies are short.
    if start.startswith(b"{") and size <= len(head):
        try:
            body = json.loads(head)
        except ValueError:
            return None
        if isinstance(body, dict) and "error" in body:
            error = body["error"]
            code = error.get("code") if isinstance(error, dict) else None
            code = code if isinstance(code, int) else 0
            return BodyError(
                f"an error body: {str(error)[:200]}", FAULTS.get(code, "changed"), code
            )
    return None


def _quote_report(head: bytes) -> str:
    """Return the words of an OGC exception report, to stand behind its name."""
    found = _REPORT_TEXT.search(head)
    words = " ".join(found[2].decode("utf-8", "replace").split()) if found else ""
    return f": {words[:200]}" if words else ""
