"""The buildings box: the scene of a session, stored in its ``scene`` table.

In: buildings, a base and the ground as plain dicts. Out: the same. Duty: replay finds the buildings in the folder.
Not here: reading city models (simulation.world), drawing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sessionstore.boxes.session_db_box import SessionDBBox
from sessionstore.model.gc_pause import gc_paused
from sessionstore.model.json_text import plain, plain_copy
from sessionstore.session.documents import Tables
from sessionstore.store import SessionStore

SCENE = "scene"


class SessionBuildingsBox:
    """The buildings and the base of the sessions of one store.

    In: dicts with a ``name`` each. Out: dicts. Duty: one scene per session, replaced as a whole, counted in the record.
    """

    def __init__(
        self, session_db_box: SessionDBBox | None = None, training_sessions_dir: str | Path | None = None
    ) -> None:
        box = session_db_box or SessionDBBox(training_sessions_dir=training_sessions_dir)
        self.store: SessionStore = box.store

    def save_buildings(
        self,
        session_id: str,
        buildings: Iterable[Mapping[str, Any]],
        base: Mapping[str, Any] | None = None,
        ground: Iterable[Mapping[str, Any]] = (),
    ) -> int:
        """Replace the scene of a session, durably; return the number of buildings.

        Args:
            buildings: each with at least a name; ``"visible": False`` marks one that only the physics knows.
            base: the base station (position [x, y, z] in metres, orientation, origin of the local frame ...).
            ground: what is drawn around them: each with a ``use`` (road, rail, water, land, plants, terrain) and
                ``faces``, rings [x, y, z, x, y, z ...] in metres; or heights on a grid: ``origin`` [x, y], ``step_m``
                and ``heights``, rows from the south, null for none.

        Raises: SessionNotFound, InvalidRecord, LockTimeout, StoreUnusable: nothing changed.
        """
        with gc_paused():  # thousands of buildings are a million objects without a cycle
            given = plain_copy([dict(each) for each in buildings], "buildings")
            around = plain_copy([dict(each) for each in ground], "ground")
        rows = [{**each, "kind": "building"} for each in given]
        hidden = sum(1 for row in rows if row.get("visible") is False)
        scene = ([{**plain(dict(base), "base"), "kind": "base"}] if base else []) + rows
        scene += [{**each, "kind": "ground"} for each in around]

        def put_scene(tables: Tables) -> None:
            tables[SCENE] = {str(number): row for number, row in enumerate(scene, 1)}

        self.store.get(session_id).update(
            edit_tables=put_scene, num_buildings=len(rows) - hidden, num_invisible_buildings=hidden
        )
        return len(rows)

    def list_buildings(self, session_id: str) -> list[dict[str, Any]]:
        """Return the buildings of a session; none is an empty list, a missing session is an error.

        Raises: SessionNotFound, Corrupt.
        """
        return [row for row in self._scene(session_id) if row.get("kind") == "building"]

    def get_base(self, session_id: str) -> dict[str, Any] | None:
        """Return the base station, or None when the session has none stored. Raises: SessionNotFound, Corrupt."""
        return next((row for row in self._scene(session_id) if row.get("kind") == "base"), None)

    def list_ground(self, session_id: str) -> list[dict[str, Any]]:
        """Return the ground around the buildings, as rows of ``save_buildings``. Raises: SessionNotFound, Corrupt."""
        return [row for row in self._scene(session_id) if row.get("kind") == "ground"]

    def _scene(self, session_id: str) -> list[dict[str, Any]]:
        return list(self.store.get(session_id).tables().get(SCENE, {}).values())
