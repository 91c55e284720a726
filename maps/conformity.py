"""The page that shows whether the noise calculation gives the results that its standard expects."""

from html import escape
from typing import Any

import pandas as pd

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
LOOK = """
body { margin: 24px auto; max-width: 860px; padding: 0 16px; color: #1d2733; background: #fff;
  font: 15px/1.4 system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; }
h1 { color: #173f77; font-size: 1.5rem; } p { color: #5b6673; }
table { border-collapse: collapse; width: 100%; margin-bottom: 24px; }
th, td { border-bottom: 1px solid #dfe2e6; padding: 4px 8px; text-align: left; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.met td { background: #e4f3e6; } .missed td { background: #fbdedb; }
"""
TOTAL = "total"


def draw_conformity_page(table: pd.DataFrame, meta: dict[str, str]) -> str:
    """Return the whole page; the same arguments give the same text.

    `table` is that of `geo.propagation.conformity`; `meta` maps titles to texts, such as the
    edition and the program's version. The page has a row for each case, which is met only if all
    its bands are met, and then a row for each band.
    """
    missed = sorted(set(table.loc[~table["met"], "case"]))
    count = table["case"].nunique()
    verdict = f"{count - len(missed)} of {count} cases met"
    if missed:
        verdict += f"; not met: {', '.join(missed)}"
    totals = table[table["band"] == TOTAL]
    by_case = table.assign(size=table["deviation"].abs()).sort_values("size", kind="stable")
    worst = by_case.groupby("case")["deviation"].last().to_dict()
    cases = "".join(
        _row(
            [row.case, row.title, "required" if row.required else ""],
            [row.expected, row.computed, row.deviation, worst[row.case]],
            met=row.case not in missed,
        )
        for row in totals.itertuples()
    )
    explained = totals.loc[totals["note"] != "", ["case", "title", "note"]].to_numpy(dtype=str)
    notes = "".join(
        f"<p><b>{escape(case)}, {escape(title.lower())}.</b> {escape(note)}</p>"
        for case, title, note in explained
    )
    bands = "".join(
        _row([row.case, row.band], [row.expected, row.computed, row.deviation], met=bool(row.met))
        for row in table.itertuples()
    )
    about = "".join(f"<dt>{escape(key)}</dt><dd>{escape(text)}</dd>" for key, text in meta.items())
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>Noise model validation - padfinder</title><style>{LOOK}</style></head><body>"
        f"<h1>Noise model validation</h1><p>{escape(verdict)}</p>"
        f"<dl>{about}</dl><h2>Cases</h2><table><thead><tr><th>Case<th>What it tests<th>"
        '<th class="number">Expected, dB(A)<th class="number">Computed, dB(A)'
        '<th class="number">Deviation, dB<th class="number">Worst band, dB</tr></thead>'
        f"<tbody>{cases}</tbody></table>{notes}<h2>Bands</h2><table><thead><tr><th>Case<th>Band"
        '<th class="number">Expected, dB(A)<th class="number">Computed, dB(A)'
        f'<th class="number">Deviation, dB</tr></thead><tbody>{bands}</tbody></table>'
        "</body></html>\n"
    )


def _row(words: list[Any], numbers: list[Any], *, met: bool) -> str:
    cells = "".join(f"<td>{escape(str(word))}</td>" for word in words)
    # The last numbers are deviations, whose sign shows whether the result is louder or quieter.
    shown = [f"{number:.2f}" for number in numbers[:2]]
    shown += [f"{number:+.2f}" for number in numbers[2:]]
    counted = "".join(f'<td class="number">{one}</td>' for one in shown)
    return f'<tr class="{"met" if met else "missed"}">{cells}{counted}</tr>'
