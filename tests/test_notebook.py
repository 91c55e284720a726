"""The notebook in docs runs from top to bottom and shows what it promises."""

import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "docs/screen_a_small_town.ipynb"


def test_the_notebook_screens_a_town_and_draws_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    # No outputs are saved, so the notebook changes only when somebody edits it.
    assert not any(cell.get("outputs") for cell in notebook.cells)
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": ROOT}}
    ).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    ranking = code[3].outputs[0]["data"]["text/plain"]
    assert all(f"L{number:02d}" in ranking for number in range(8, 16))
    sentences = "".join(output["text"] for output in code[4].outputs)
    assert sentences.count("Grid shortfall for 1 MW: at least 650 kW; 4 to 6 generators") == 8
    assert "leaflet" in code[5].outputs[0]["data"]["text/html"]
