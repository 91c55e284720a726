"""Fill ${NAME} in a source's addresses and headers from the environment, when they are used.

The declaration keeps the name, so that the value, which may be a secret, is never stored or shown.
"""

import os
import re

from geo.errors import ConfigError

_VARIABLE = re.compile(r"\$\{(\w+)\}")


def fill_variables(text: str, key: str, source_id: str) -> str:
    """Return a declared text with each ${NAME} replaced by the environment variable of that name.

    Args:
        text: The text.
        key: The key that declares it, for the message.
        source_id: The source, for the message.

    Returns:
        The text with values, which may be secret.

    Raises:
        ConfigError: A variable is not set.
    """
    unset = sorted(set(_VARIABLE.findall(text)) - set(os.environ))
    if unset:
        raise ConfigError(
            f"reading sources/{source_id}.toml",
            f"{key} names {', '.join('${' + name + '}' for name in unset)}, which is not in the "
            "environment",
            f"set the environment variable {unset[0]}",
        )
    return _VARIABLE.sub(lambda match: os.environ[match[1]], text)


def list_values(text: str) -> set[str]:
    """Return the values of the variables that a declared text names, and that are set."""
    return {os.environ[name] for name in _VARIABLE.findall(text) if name in os.environ}
