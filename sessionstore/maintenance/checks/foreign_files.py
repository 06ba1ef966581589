"""Checks of what other programs and people did to names: conflict copies, links, hidden and nested sessions.

Nothing found here is ever moved or changed by ``--fix``; a conflict copy is accepted with ``--take``.
Not here: the patterns (model.foreign_names), foreign changes inside a stream (session_folders).
"""

from __future__ import annotations

import os
import shlex
import string
from collections.abc import Iterator
from pathlib import Path

from sessionstore.disk import files
from sessionstore.errors import SessionStoreError
from sessionstore.layout import DOCUMENT
from sessionstore.maintenance.examination import Examination
from sessionstore.maintenance.findings import Finding
from sessionstore.model import foreign_names, json_text, names
from sessionstore.session import stream_names
from sessionstore.session.stream_reader import Tape

_SHOWN = 5
#: Bytes of a path that need no escape in a shell.
_PLAIN = (string.ascii_letters + string.digits + "/-_.").encode()


def check_root(examination: Examination) -> Iterator[Finding]:
    """Look at every folder and link at the top of a store, also at those that no listing shows."""
    root = examination.root.path
    try:
        with os.scandir(os.fsencode(root)) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    for entry in entries:
        name = os.fsdecode(entry.name)
        if name == examination.root.private.name or foreign_names.is_system_folder(name):
            continue
        if entry.is_symlink():
            yield from _link(examination, name)
        elif entry.is_dir(follow_symlinks=False):
            yield from _folder_name(examination, name)
            yield from _nested(examination, name)


def _link(examination: Examination, name: str) -> Iterator[Finding]:
    target = os.path.realpath(examination.root.path / name)
    if os.path.lexists(os.path.join(target, DOCUMENT)):
        what = f"a symbolic link to the session folder {target}"
        command = f"rm {_quoted(examination, name)} && cp -a {shlex.quote(target)} {_quoted(examination, name)}"
        yield Finding("folder-link", name, what, name, {"repair": command})


def _folder_name(examination: Examination, name: str) -> Iterator[Finding]:
    is_session = os.path.lexists(examination.root.path / name / DOCUMENT)
    if not is_session:
        return
    new = names.portable_folder_name(name)
    move = f"mv -n {_quoted(examination, name)} {shlex.quote(str(examination.root.path / new))}"
    if not names.is_session_folder_name(name):
        yield Finding("folder-hidden", name, f"the name {name!r} is not listed", None, {"repair": move})
    elif new != name:
        what = f"{name!r} cannot be copied to every operating system; portable: {new!r}"
        yield Finding("folder-not-portable", name, what, name, {"repair": move})


def _nested(examination: Examination, name: str) -> Iterator[Finding]:
    try:
        with os.scandir(examination.root.path / name) as found:
            inner = sorted(entry.name for entry in found if entry.is_dir(follow_symlinks=False))
    except OSError:
        return  # the folder has a finding of its own
    for each in inner:
        place = f"{name}/{each}"
        if os.path.lexists(examination.root.path / place / DOCUMENT):
            free = _free_name(examination, names.portable_folder_name(each))
            move = f"mv -n {_quoted(examination, place)} {shlex.quote(str(examination.root.path / free))}"
            yield Finding("folder-nested", place, "a session inside another folder", None, {"repair": move})


def _free_name(examination: Examination, name: str) -> str:
    number = 1
    while os.path.lexists(examination.root.path / names.numbered(name, number)):
        number += 1
    return names.numbered(name, number)


def _quoted(examination: Examination, place: str) -> str:
    """Return a path for a shell, also one that is not UTF-8 or holds a newline."""
    data = os.fsencode(examination.root.path / place)
    text = data.decode("utf-8", "surrogateescape")
    if text.isprintable() and not any("\udc80" <= char <= "\udcff" for char in text):
        return shlex.quote(text)
    return "$'" + "".join(chr(byte) if byte in _PLAIN else f"\\x{byte:02x}" for byte in data) + "'"


def check_session(examination: Examination, session_id: str, found: list[str]) -> Iterator[Finding]:
    """Report the conflict copies of sync programs, and names of streams that some system cannot store."""
    folder = examination.root.folder(session_id)
    keys: dict[str, str] = {}
    for name in sorted(found):
        conflict = foreign_names.conflict_of(name)
        if conflict is not None and conflict[0] in found:
            facts = {"copy": name, "original": conflict[0]}
            what = f"a conflict copy of {conflict[0]} ({conflict[1]}); {differences(folder, *conflict[:1], name)}"
            yield Finding("conflict-copy", f"{session_id}/{name}", what, session_id, facts)
        elif (stem := stream_names.stem_of(name)) is not None and not foreign_names.is_foreign(name):
            other = keys.setdefault(names.collision_key(stem), stem)
            if names.is_device(stem) or other != stem:
                reason = f"one file with {other!r} on macOS and Windows" if other != stem else "a device on Windows"
                what = f"the stream {stem!r} is {reason}; portable: {_free_stem(stem, found)!r}"
                yield Finding("stream-not-portable", f"{session_id}/{name}", what, session_id)


def _free_stem(stem: str, found: list[str]) -> str:
    keys = {names.collision_key(stream_names.stem_of(name) or name) for name in found}
    return next(new for number in range(2, 1000) if names.collision_key(new := f"{stem}_{number}") not in keys)


def differences(folder: Path, original: str, copy: str) -> str:
    """Return what differs between a file and its conflict copy, as a sentence."""
    try:
        ours, theirs = files.read(folder / original)[0], files.read(folder / copy)[0]
        if ours == theirs:
            return "both are the same"
        if original.endswith(".jsonl"):
            return _stream_difference(folder / original, folder / copy, ours, theirs)
        return _document_difference(json_text.parse(ours, original), json_text.parse(theirs, copy))
    except (SessionStoreError, OSError) as error:
        return f"they cannot be compared: {error}"


def _stream_difference(original: Path, copy: Path, ours: bytes, theirs: bytes) -> str:
    if theirs.startswith(ours) or ours.startswith(theirs):
        longer = "the copy" if len(theirs) > len(ours) else "the file"
        extra = abs(Tape(copy).count() - Tape(original).count())
        return f"{longer} has {extra} records more"
    same = next((place for place, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), 0)
    return f"{Tape(original).count()} and {Tape(copy).count()} records, different from byte {same} on"


def _document_difference(ours: object, theirs: object, path: str = "") -> str:
    found = list(_differing(ours, theirs, path))
    shown = "; ".join(found[:_SHOWN]) + (f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")
    return f"it differs in {shown}"


def _differing(ours: object, theirs: object, path: str) -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            if ours.get(key) != theirs.get(key):
                yield from _differing(ours.get(key), theirs.get(key), f"{path}.{key}".removeprefix("."))
    else:
        yield f"{path.removeprefix('session.1.')}: {_short(ours)} (file), {_short(theirs)} (copy)"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
