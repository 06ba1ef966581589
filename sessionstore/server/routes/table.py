"""Every operation of the API, in the order in which addresses are tried.

Not here: what they do (the modules named here).
"""

from __future__ import annotations

from sessionstore.server.http import openapi
from sessionstore.server.http.operations import Operation
from sessionstore.server.routes import (
    alerts,
    artifacts,
    bulk,
    bundles,
    chart_figures,
    control,
    field_series,
    filters,
    foreign,
    groups,
    health,
    known_addresses,
    many_files,
    moments,
    page_views,
    pages,
    replays,
    sessions,
    sparklines,
    sql_queries,
    sweeps,
    tracks,
    xy_plots,
)


def all_operations() -> list[Operation]:
    """Return all operations; those with literal paths stand before those with an id in the same place."""
    found = [
        *control.session_operations(),
        *sessions.operations(),
        *bulk.operations(),
        *bundles.operations(),
        *filters.operations(),
        *foreign.operations(),
        *groups.operations(),
        *many_files.operations(),
        *sparklines.operations(),
        *replays.operations(),
        *tracks.operations(),
        *moments.operations(),
        *chart_figures.operations(),
        *field_series.operations(),
        *xy_plots.operations(),
        *alerts.operations(),
        *pages.operations(),
        *page_views.operations(),
        *sweeps.operations(),
        *artifacts.operations(),
        *control.operations(),
        *known_addresses.operations(),
        *sql_queries.operations(),
        *health.operations(),
    ]
    ordered = _ordered(found)
    return _ordered([*ordered, *openapi.operations(ordered)])


def _ordered(found: list[Operation]) -> list[Operation]:
    # Sessions first: they are requested most, and each address that does not match costs a microsecond or two.
    return sorted(found, key=lambda operation: (not operation.path.startswith("/api/sessions"), "{" in operation.path))
