"""A published night's texts for readers have no code words and use American spelling."""

import re
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from maps.export import READER_COLUMNS

ROOT = Path(__file__).parents[2]
PUBLISHED = "var/published/hamlet/hamlet"
SENTENCES = ("sentence", "limit_text", "lift_text", "data_complete", "checks", "fuel_ladder")
ORDINARY = {"at least", "at most", "local rule"}  # codes that are plain English
UNDERSCORED = re.compile(r"\b[a-z]+_[a-z_]+\b")
BRITISH = re.compile(
    r"\b(\w*metres?|neighbour\w*|colour\w*|centre[sd]?|grey|licence\w*|storeys?|behaviour\w*|"
    r"kerbs?|labelled|vaporiser\w*|organis\w+|analys(e|ed|ing)|recognis\w+|whilst|tonnes)\b",
    re.IGNORECASE,
)


def code_words() -> set[str]:
    """Return the codes of two or more words that readers know by another name."""
    tables = tomllib.loads((ROOT / "geo/catalogue/evidence.toml").read_text("utf-8")).values()
    return {
        code
        for table in tables
        for code, words in table.items()
        if " " in code and code not in ORDINARY and not any(code in text for text in words.values())
    }


def faults(text: str) -> list[str]:
    """List the code words and British spellings of a text."""
    codes = [code for code in code_words() if re.search(rf"\b{re.escape(code)}\b", text)]
    return codes + UNDERSCORED.findall(text) + [found[0] for found in BRITISH.finditer(text)]


def test_faults_are_found():
    assert faults("No capacity: feeders of substation") == ["feeders of substation"]
    assert faults("Held back by pad_evidence") == ["pad_evidence"]
    assert faults("8 metres from the neighbour's lot") == ["metres", "neighbour"]
    assert faults("Space for 3 generators (600 kW), 25 ft from the nearest home") == []


def test_the_reader_columns_use_plain_words(finished_hamlet):
    rows = pd.read_csv(finished_hamlet / PUBLISHED / "ranked.csv", dtype=str)
    named = rows[list(READER_COLUMNS)].drop(columns=["Map"], errors="ignore")
    texts = pd.unique(named.fillna("").to_numpy(str).ravel())
    assert len(texts) > 100
    found = {text: wrong for text in [*READER_COLUMNS, *texts] if (wrong := faults(text))}
    assert not found, found


@pytest.mark.parametrize("column", SENTENCES)
def test_the_sentences_use_plain_words(finished_hamlet, column):
    rows = pd.read_parquet(finished_hamlet / PUBLISHED / "ranked.parquet")
    texts = [text for text in rows[column].dropna().unique() if text]
    assert texts
    found = {text: wrong for text in texts if (wrong := faults(str(text)))}
    assert not found, found


def test_titles_and_phrases_use_plain_words():
    found = {}
    for name in ("facts", "layers", "evidence", "fuels", "generators", "plants", "noise_limits"):
        text = (ROOT / f"geo/catalogue/{name}.toml").read_text("utf-8")
        for quoted in re.findall(r'(?:title|phrase|unknown|unavailable) = "([^"]+)"', text):
            if wrong := faults(quoted):
                found[quoted] = wrong
    assert not found, found
