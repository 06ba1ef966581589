"""Every operation of the API, in the order in which addresses are tried.

Not here: what they do (the modules named here).
"""

from __future__ import annotations

from sessionstore.server import (
    artifacts,
    charts,
    filters,
    health,
    openapi,
    pages,
    replays,
    sessions,
    simulation,
    tracks,
)
from sessionstore.server.operations import Operation


def all_operations() -> list[Operation]:
    """Return all operations; those with literal paths stand before those with an id in the same place."""
    found = [
        *simulation.session_operations(),
        *sessions.operations(),
        *filters.operations(),
        *replays.operations(),
        *tracks.operations(),
        *charts.operations(),
        *pages.operations(),
        *artifacts.operations(),
        *simulation.operations(),
        *health.operations(),
        *openapi.operations(),
    ]
    # Sessions first: they are asked for most, and each address that is tried in vain costs a microsecond or two.
    return sorted(found, key=lambda operation: (not operation.path.startswith("/api/sessions"), "{" in operation.path))
