"""The errors that padfinder raises on purpose, under one root.

Each says what was being done, what is wrong with which value, and what to do about it.
"""


class PadfinderError(Exception):
    """An error that says what was being done, what is wrong with which value, and what to do."""

    def __init__(self, doing: str, wrong: str, remedy: str) -> None:
        # All three go to Exception so that the error survives pickling between processes.
        super().__init__(doing, wrong, remedy)
        self.doing, self.wrong, self.remedy = doing, wrong, remedy

    def __str__(self) -> str:
        return f"{self.doing}: {self.wrong}\n  What to do: {self.remedy}"


class ConfigError(PadfinderError):
    """A TOML file or a setting is wrong or incomplete."""


class ContractError(PadfinderError):
    """A table does not have the columns or values that its layer or the catalogue declares."""


class SourceDown(PadfinderError):
    """A source does not answer now. Only after this error is the request repeated."""


class SourceChanged(PadfinderError):
    """A source's answer has changed: a person must decide, and yesterday's snapshot stays."""


class StoreError(PadfinderError):
    """The store cannot read or write what was requested."""
