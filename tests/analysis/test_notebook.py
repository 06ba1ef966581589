"""A notebook that is executed shows stores, sessions, streams and comparisons as tables, with names as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

CELLS = {
    "made": """
import sessionstore
from sessionstore.playback.comparison import compare
store = sessionstore.open("notebook")
for wind in (1, 2):
    with store.record(f"<b>run</b> {wind}", metadata={"wind": wind}) as session:
        for tick in range(30):
            session.motion.append("scout-1", t_s=tick, position_m=(tick * wind, 0, 5))
""",
    "store": "store",
    "session": "store['latest']",
    "stream": "store['latest'].tape('motion_history')",
    "comparison": "compare([store.get(row.session_id) for row in store.find()])",
}


@pytest.mark.slow
def test_a_notebook_shows_what_it_holds(tmp_path: Path) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS.values()]
    notebook = nbformat.v4.new_notebook(cells=cells)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3", resources=resources).execute()
    shown: dict[str, Any] = {}
    for name, cell in zip(CELLS, notebook.cells, strict=True):
        for output in cell.outputs:
            assert output.output_type == "execute_result", output
            shown[name] = output.data["text/html"]
    assert "completed" in shown["store"] and shown["store"].count("<tr") == 3
    assert "scout-1" in shown["session"] and "<b>" not in "".join(shown.values())
    assert "30 records" in shown["stream"] and "sim_time" in shown["stream"] and shown["stream"].count("<tr") == 11
    assert "metadata.wind" in shown["comparison"] and "path of scout-1 at 1.1 s" in shown["comparison"]
