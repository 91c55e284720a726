"""The secrets of a source: where they are in addresses and headers, and texts without them."""

import base64
import binascii
import json
import mmap
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote_plus

import httpx

from data.variables import fill_variables, list_values
from geo.errors import ConfigError

# Shorter parts of an address, such as "1" or "json", are ordinary words of a message.
SECRET_LENGTH = 6
# Headers that say who asks, and nothing secret.
_PUBLIC_HEADERS = frozenset({"accept", "accept-language", "origin", "referer", "user-agent"})
_HIDDEN = "***"


def list_secrets(url: httpx.URL) -> set[str]:
    """Return the parts of an address that no message may repeat: its user, password and query.

    The user and the password are sent in a header, in base 64.
    """
    values = [value for _, value in url.params.multi_items()]
    texts = {url.username, url.query.decode("ascii"), *values, *_list_passwords(url)}
    return {text for text in texts if len(text) >= SECRET_LENGTH}


def _list_passwords(url: httpx.URL) -> set[str]:
    """Return the password of an address, if it has one: as it is, and as it is sent."""
    if not url.password:
        return set()
    return {
        url.password,
        base64.b64encode(f"{url.username}:{url.password}".encode()).decode(),
    }


def list_header_secrets(name: str, declared: str, filled: str) -> set[str]:
    """Return the parts of a header that no message may repeat: the whole, and its credentials.

    Args:
        name: The header's name. Some say who asks, and nothing secret.
        declared: Its text as declared.
        filled: Its text with the values of variables.

    Returns:
        The parts.
    """
    values = {value.strip() for value in list_values(declared)} - {""}
    if name.lower() in _PUBLIC_HEADERS:
        return values
    scheme, _, credentials = filled.partition(" ")
    texts = {filled, credentials.strip()}
    if scheme.lower() == "basic":
        # If it is not in base 64, the server will say so.
        with suppress(binascii.Error, UnicodeDecodeError):
            texts.update(base64.b64decode(credentials).decode().split(":", 1))
    return values | {text for text in texts if len(text) >= SECRET_LENGTH}


def list_keys(addresses: Sequence[str], headers: Collection[str], source_id: str) -> set[str]:
    """Return what can be nothing but secret: the values of variables, and passwords.

    Args:
        addresses: The declared addresses.
        headers: The declared headers' texts.
        source_id: The source, for messages.

    Returns:
        The texts, plain and as an address writes them. Short ones are left out.
    """
    values = {value.strip() for text in (*addresses, *headers) for value in list_values(text)}
    keys = values | {unquote_plus(value) for value in values}
    for address in addresses:
        with suppress(httpx.InvalidURL, UnicodeError, ConfigError):
            keys |= _list_passwords(httpx.URL(fill_variables(address, "fetch.url", source_id)))
    return {key for key in keys if len(key) >= SECRET_LENGTH}


def hide_texts(text: str, secrets: Collection[str]) -> str:
    """Return a text without secrets, nor their forms, nor the beginning of one at its cut-off end.

    >>> hide_texts("no sesame%2Ftoken, sesame/tok", {"sesame/token"})
    'no ***, ***'
    """
    forms = {form for secret in secrets for form in _list_forms(secret)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, _HIDDEN)
    return _hide_unfinished(text, forms)


def mask_in_file(path: Path, secrets: Collection[str]) -> int:
    """Write asterisks over secrets that a downloaded file repeats, such as a key in its links.

    Args:
        path: The file, which is not empty. Its length does not change.
        secrets: The secrets.

    Returns:
        How many were found.
    """
    forms = sorted({form for secret in secrets for form in _list_forms(secret)}, key=len)
    count = 0
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        for form in (form.encode() for form in reversed(forms)):
            at = content.find(form)
            while at >= 0:
                content[at : at + len(form)] = b"*" * len(form)
                count += 1
                at = content.find(form, at + len(form))
    return count


def _list_forms(secret: str) -> set[str]:
    """Return a secret as an address, a form, JSON and a quoted text write it.

    >>> sorted(_list_forms("sesame/1"))
    ['sesame%2F1', 'sesame/1']
    """
    forms = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}
    return forms | {json.dumps(secret)[1:-1], repr(secret)[1:-1]}


def _hide_unfinished(text: str, forms: set[str]) -> str:
    """Return a text without the beginning of a secret at its end, as in a text that was cut off.

    >>> _hide_unfinished("the token is sesame-to", {"sesame-token"})
    'the token is ***'
    """
    cut = max(
        (
            length
            for form in forms
            for length in range(SECRET_LENGTH, len(form))
            if text.endswith(form[:length])
        ),
        default=0,
    )
    return f"{text[:-cut]}{_HIDDEN}" if cut else text
