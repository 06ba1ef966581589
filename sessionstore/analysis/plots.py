"""The figures of one session as plotly draws them, for notebooks (the extra ``plot``).

Not here: what is in them (playback.charts), the charts of the web page (server.web).
"""

from __future__ import annotations

from typing import Any

from sessionstore.playback.charts import TITLES, figures
from sessionstore.session import Session


def plot(session: Session, name: str | None = None, start_s: float | None = None, end_s: float | None = None) -> Any:
    """Return a plotly figure: the named one, or all of them one below the other.

    Raises:
        ModuleNotFoundError: plotly is missing (``pip install 'sessionstore[plot]'``).
        InvalidQuery: as :func:`figures`.
    """
    from plotly import graph_objects
    from plotly.subplots import make_subplots

    if name is not None:
        return graph_objects.Figure(figures(session, start_s, end_s, names=(name,))[name])
    found = figures(session, start_s, end_s)
    titles = [f"{title} ({unit})" for title, unit in TITLES.values()]
    whole = make_subplots(rows=len(found), cols=1, shared_xaxes=True, subplot_titles=titles, vertical_spacing=0.03)
    shown: set[str] = set()
    for row, figure in enumerate(found.values(), start=1):
        for trace in figure["data"]:
            whole.add_trace({**trace, "showlegend": trace["name"] not in shown, "legendgroup": trace["name"]}, row, 1)
            shown.add(trace["name"])
    whole.update_layout(height=220 * len(found), title={"text": session.session_id}, hovermode="x")
    whole.update_xaxes(title_text="sim_time (s)", row=len(found), col=1)
    return whole
