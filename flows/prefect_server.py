"""Say in one sentence that the Prefect server that the settings name does not answer."""

import traceback

from geo.addresses import show_address
from geo.errors import ConfigError

# Prefect itself would wait for minutes.
TIMEOUT_S = 10.0
# All other uses of these libraries turn their errors into padfinder's own.
_LIBRARIES = {"httpx", "httpcore"}


def has_prefect_server() -> bool:
    """Return whether Prefect's settings name a server.

    Raises:
        ConfigError: They do, and it does not answer.
    """
    url = _read_url()
    if url is None:
        return False
    from prefect.client.orchestration import get_client

    try:
        with get_client(httpx_settings={"timeout": TIMEOUT_S}, sync_client=True) as client:
            trouble = client.api_healthcheck()
    except Exception as error:  # noqa: BLE001 - whatever it is, the server cannot be used
        trouble = error
    if trouble is not None:
        raise _describe_trouble(url, trouble)
    return True


def explain_trouble(error: Exception) -> ConfigError | None:
    """Return what to tell about an error if it comes from talking to the server; else None."""
    is_network = any(kind.__module__.split(".")[0] in _LIBRARIES for kind in type(error).__mro__)
    if not is_network and not _is_raised_in_client(error):
        return None
    return _describe_trouble(_read_url() or "none", error)


def _is_raised_in_client(error: Exception) -> bool:
    """Return whether Prefect's client raised an error: it has plain RuntimeErrors for a server."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and str(frames[-1].f_globals.get("__name__")).startswith("prefect.client")


def _read_url() -> str | None:
    from prefect.settings import get_current_settings

    return get_current_settings().api.url


def _describe_trouble(url: str, trouble: Exception) -> ConfigError:
    return ConfigError(
        "connecting to the Prefect server",
        f"PREFECT_API_URL = {show_address(url)} does not answer as a Prefect server does "
        f"({type(trouble).__name__})",
        "start that server or correct the setting; to run without a server, unset it "
        "(`prefect config view` shows where it is set)",
    )
