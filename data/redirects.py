"""Which addresses a server may send on to, or name in an answer.

The declared host may; another host only if the source declares it. No address may lead to a file,
or from https to http.
"""

import httpx

from data.connection import Connection, refuse_answer
from data.secrets import list_secrets
from geo.addresses import show_address
from geo.errors import SourceChanged

PORTS = {"http": 80, "https": 443}


def check_link(first: httpx.URL, link: str, shown: str, connection: Connection) -> httpx.URL:
    """Return the address that an answer names, such as that of its next page.

    A server behind a proxy may name itself by http though it is asked by https: https is kept.

    Args:
        first: The declared address.
        link: The address that is named; it may be relative to the declared one.
        shown: The declared address as shown in messages.
        connection: The connection.

    Returns:
        The address to ask.

    Raises:
        SourceChanged: It may not be asked.
        httpx.InvalidURL: It is not an address.
    """
    url = first.join(link)
    if (first.scheme, url.scheme) == ("https", "http") and url.host == first.host:
        url = url.copy_with(scheme="https", port=first.port)
    return check_redirect(first, first, str(url), shown, connection)


def check_redirect(
    first: httpx.URL, from_url: httpx.URL, location: str, shown: str, connection: Connection
) -> httpx.URL:
    """Return the address to ask next.

    Args:
        first: The declared address.
        from_url: The address that sends on.
        location: Where it sends; this may be relative to it.
        shown: The declared address as shown in messages.
        connection: The connection.

    Returns:
        The address.

    Raises:
        SourceChanged: It may not be asked.
        httpx.InvalidURL: It is not an address.
    """
    to_url = from_url.join(location)
    # Stores of files put a signature into the query of the address to which they send on.
    connection.secrets.update(list_secrets(to_url))
    target = connection.hide(show_address(str(to_url)))
    if to_url.scheme not in PORTS:
        raise refuse_answer(connection, f"{shown} sends on to {target}, not a network address")
    if from_url.scheme == "https" and to_url.scheme == "http":
        raise refuse_answer(connection, f"{shown} sends on to {target}, from https to http")
    if is_same_host(first, to_url):
        user = {} if to_url.userinfo else {"username": first.username, "password": first.password}
        return to_url.copy_with(**user) if first.userinfo else to_url
    if {to_url.host, name_host(to_url)} & set(connection.redirect_hosts):
        return to_url
    host = to_url.host if to_url.port is None else name_host(to_url)
    raise SourceChanged(
        connection.doing,
        f"{shown} sends on to another host: {target}",
        f'if you trust that host, add redirect_hosts = ["{host}"] to [fetch] in '
        f"sources/{connection.source_id}.toml, or correct fetch.url",
    )


def name_host(url: httpx.URL) -> str:
    """Return the host and the port of an address."""
    return f"{url.host}:{url.port or PORTS[url.scheme]}"


def is_same_host(first: httpx.URL, other: httpx.URL) -> bool:
    """Return whether two addresses are at one host and port; https may replace http."""
    if first.host != other.host:
        return False
    is_upgrade = first.scheme == "http" and other.scheme == "https"
    has_usual_ports = first.port is None and other.port is None
    return name_host(first) == name_host(other) or (is_upgrade and has_usual_ports)
