"""Post a message to a web hook."""

from typing import Any

import httpx

from data.connection import quiet_log

TIMEOUT_S = 10.0


def post_message(address: str, message: dict[str, Any]) -> str | None:
    """Post a message as JSON.

    Args:
        address: The address, which may be secret in part.
        message: The message.

    Returns:
        None if the address took it, else what went wrong, without the address.
    """
    try:
        with quiet_log():
            answer = httpx.post(address, json=message, timeout=TIMEOUT_S)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        return type(error).__name__
    return None if answer.is_success else f"status {answer.status_code}"
