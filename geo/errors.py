"""The errors that padfinder raises on purpose, under one root.

Each says what was being done, what is wrong with which value, and what to do about it.
"""

from typing import Literal

from geo.addresses import hide_secrets
from geo.printable import make_printable

# What an error says about the source that it concerns.
Fault = Literal["stale", "shrunk", "changed", "gone", "forbidden"]


class PadfinderError(Exception):
    """An error that says what was being done, what is wrong with which value, and what to do.

    The texts never show the user, password or query of an address, nor steer a terminal.

    Attributes:
        doing: What was being done.
        wrong: What is wrong with which value.
        remedy: What to do.
        fault: What the error says about the source that it concerns.
        may_be_size: Whether a server that was asked for less might have answered.
    """

    fault: Fault = "changed"
    may_be_size: bool = False

    def __init__(self, doing: str, wrong: str, remedy: str, *, fault: Fault | None = None) -> None:
        doing, wrong, remedy = (
            make_printable(hide_secrets(text)) for text in (doing, wrong, remedy)
        )
        # All three go to Exception so that the error survives pickling between processes.
        super().__init__(doing, wrong, remedy)
        self.doing, self.wrong, self.remedy = doing, wrong, remedy
        if fault is not None:
            self.fault = fault

    def __str__(self) -> str:
        return f"{self.doing}: {self.wrong}\n  What to do: {self.remedy}"


class ConfigError(PadfinderError):
    """A TOML file or a setting is wrong or incomplete."""


class ContractError(PadfinderError):
    """A table does not have the columns or values that its layer or the catalogue declares."""


class SourceDown(PadfinderError):
    """A source does not answer now. Only after this error is the request repeated.

    `wait_s` is how long the server asks to wait before the next request, if it says so.
    """

    fault: Fault = "stale"
    wait_s: float | None = None


class SourceChanged(PadfinderError):
    """A source's answer has changed: a person must decide, and yesterday's snapshot stays."""


class StoreError(PadfinderError):
    """The store cannot read or write what was requested."""

    fault: Fault = "stale"
