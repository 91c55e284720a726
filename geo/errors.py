"""The errors that padfinder raises on purpose, under one root.

Each says what was being done, what is wrong with which value, and what to do about it.
"""


class PadfinderError(Exception):
    """What was being done, what is wrong with which value, and what to do."""

    def __init__(self, doing: str, wrong: str, remedy: str) -> None:
        # All three go to Exception so that the error survives pickling between processes.
        super().__init__(doing, wrong, remedy)
        self.doing, self.wrong, self.remedy = doing, wrong, remedy

    def __str__(self) -> str:
        return f"{self.doing}: {self.wrong}\n  What to do: {self.remedy}"


class ConfigError(PadfinderError):
    """A TOML file or a setting does not say what it must."""


class ContractError(PadfinderError):
    """A table does not hold to the layer that it fills."""


class SourceDown(PadfinderError):
    """A source does not answer now; the only error that is tried again."""


class SourceChanged(PadfinderError):
    """A source answers, but not what it used to; a person decides, yesterday's snapshot stays."""


class StoreError(PadfinderError):
    """The store cannot give or take what was asked."""
