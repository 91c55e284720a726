"""Show network addresses without what may be secret: users, passwords, tokens and keys."""

import re

_HIDDEN = "***"
# A password may itself contain "@" or "/", so everything up to the last "@" is hidden.
_USER = re.compile(r"(?<=://)[^\s?#'\"<>]*@")
# Of a query only its start is shown, since any of its values may be a key. Marks of the sentence
# around the address stay.
_QUERY = re.compile(
    r"(?<=\S)(?P<mark>[?#])(?:\.{3})?[^\s'\"<>]*?(?P<end>[.,;:)\]]*)(?=[\s'\"<>]|$)"
)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]*")


def show_address(address: str) -> str:
    """Return one address without its user, password, query and fragment.

    >>> show_address("https://me:pass@example.org/a.csv?token=abc&where=1 = 1")
    'https://***@example.org/a.csv?...'
    """
    start = re.split("[?#]", address, maxsplit=1)[0]
    more = f"{address[len(start)]}..." if len(start) < len(address) else ""
    return _USER.sub(f"{_HIDDEN}@", start) + more


def hide_secrets(text: str) -> str:
    """Return a text in which every address is shown as `show_address` shows it.

    >>> hide_secrets("https://me:pass@example.org/a.csv?token=abc: ReadTimeout")
    'https://***@example.org/a.csv?...: ReadTimeout'
    """

    def show(match: re.Match[str]) -> str:
        shown = _USER.sub(f"{_HIDDEN}@", match[0])
        return _QUERY.sub(lambda query: f"{query['mark']}...{query['end']}", shown, count=1)

    return _ADDRESS.sub(show, text)
