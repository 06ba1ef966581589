"""Making a session: its record is checked, its folder built in staging, whole and durable, and then given its name.

The name comes by a rename that never replaces anything, so that no reader sees half a session.
Not here: the index (store.store), many sessions at once (store.batch).
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sessionstore import __version__
from sessionstore.disk import files
from sessionstore.errors import SessionStoreError, StoreUnusable
from sessionstore.layout import DOCUMENT, StoreRoot
from sessionstore.model import json_text, names, provenance, records
from sessionstore.model.instants import instant, new_uuid
from sessionstore.model.record import SessionRecord
from sessionstore.session import known_texts
from sessionstore.session.documents import encode_new, numbered
from sessionstore.store import trash
from sessionstore.store.id_reservations import IdReservations

_CREATED_BY = f"sessionstore {__version__}"


@dataclass(slots=True)
class Draft:
    """A session to be made."""

    record: SessionRecord
    created: datetime
    tables: dict[str, Any]
    built: str | None = None  # where another module built it, in staging


class Creator:
    """Makes the sessions of one store; safe for threads and processes.

    Args:
        settings: what format.json of a new store holds further.
    """

    def __init__(self, root: StoreRoot, settings: dict[str, Any] | None) -> None:
        self._root, self._settings = root, settings
        self._reservations = IdReservations(root)
        self._swept = False

    def close(self) -> None:
        """Close the file of reserved ids."""
        self._reservations.close()

    def draft(self, name: str | None, fields: dict[str, Any]) -> Draft:
        """Check what is given, and reserve an id.

        Raises: InvalidName, InvalidRecord, LockTimeout, StoreUnusable: nothing was made.
        """
        if name is not None:
            names.check_typed_name(name)
        tables = {key: numbered(rows) for key, rows in (fields.pop("tables", None) or {}).items()}
        origin = {key: fields.pop(key, None) for key in ("seed", "scenario_hash", "function")}
        created_at = fields.pop("created_at", None)
        given = records.check_changes({**fields, "session_name": name})
        not_finite = given.pop(records.NOT_FINITE, None)
        created = datetime.now(UTC) if created_at is None else instant(json_text.plain(created_at, "created_at"))
        if not self._root.prepared:  # what is removed by hand later is made again when it is missed
            self._root.prepare(self._settings)
        if not self._swept:  # what creators that died left in staging
            self._swept = True
            trash.sweep_staging(self._root)
        record = SessionRecord.new(
            # An id of an earlier minute may be taken many times over: those are passed over before anything is built.
            self._reservations.reserve(created, name, look=created_at is not None),
            new_uuid(),
            created_at=json_text.utc_text(created),
            created_by=_CREATED_BY,
            provenance=provenance.gather(**json_text.plain(origin, "provenance")),
        )
        for field, value in given.items():
            setattr(record, field, value)
        if not_finite:
            record.extra[records.NOT_FINITE] = not_finite
        return Draft(record, created, tables)

    def build(self, draft: Draft) -> os.stat_result:
        """Build the folder, whole and durable, and give it its name; return the status of the record's file.

        Raises: StoreUnusable: nothing was made. OutcomeUnknown: it is visible, a power cut may take it.
        """
        status = self.stage(draft, sync=self._root.durable)
        status = self.give_name(draft, status)
        if self._root.durable:
            files.prove_renamed(self._root.path)
        return status

    def stage(self, draft: Draft, sync: bool) -> os.stat_result:
        """Build the folder in staging. Raises: StoreUnusable: nothing was made."""
        staged = self.staged(draft)
        with self._undone(staged):
            shared = self._make_dir(staged)
            # No reader opens this folder, so nothing needs replacing.
            status = files.create(f"{staged}/{DOCUMENT}", _document(draft), sync=sync, shared=shared)
            if sync:
                files.sync_dir(staged)
        return status

    def _make_dir(self, staged: str) -> bool:
        try:
            return files.make_dir(staged)
        except StoreUnusable as error:
            if error.errno != errno.ENOENT:
                raise
        self._root.prepare(self._settings)  # the folder of staging was removed by hand
        return files.make_dir(staged)

    def give_name(self, draft: Draft, status: os.stat_result) -> os.stat_result:
        """Give a staged folder its name, or the next free one; return the status of the record's file.

        Raises: StoreUnusable: nothing was made.
        """
        staged = self.staged(draft)
        with self._undone(staged):
            while True:
                try:
                    files.rename_new(staged, f"{self._root.text}/{draft.record.session_id}")
                    return status
                except FileExistsError:  # a folder that was copied here or restored has this name
                    draft.record.session_id = self._reservations.reserve(draft.created, draft.record.session_name)
                status = files.put(f"{staged}/{DOCUMENT}", _document(draft), sync=self._root.durable)

    def staged(self, draft: Draft) -> str:
        """Return where a session is built."""
        return draft.built or f"{self._root.staging}/{draft.record.uuid}"

    @contextlib.contextmanager
    def _undone(self, staged: str) -> Iterator[None]:
        """Remove what was staged after an error."""
        try:
            yield
        except OSError as error:
            self.discard(staged)
            if isinstance(error, SessionStoreError):
                raise
            raise files.refused(error, staged) from error

    @staticmethod
    def discard(staged: str) -> None:
        """Remove what was staged; what cannot be removed now is removed later."""
        with contextlib.suppress(StoreUnusable):
            if files.is_folder(staged):
                files.remove_tree(staged)


def _document(draft: Draft) -> bytes:
    data = encode_new(draft.record.to_dict(), draft.tables)
    known_texts.remember(data)  # its first change follows soon: the run begins
    return data
