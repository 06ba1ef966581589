"""Artifacts: files of a session by name, whole or not at all, with checksums."""

from __future__ import annotations

import hashlib
import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from sessionstore.errors import Conflict, InvalidName, InvalidRecord, SessionGone
from sessionstore.session import Session
from sessionstore.store import SessionStore


@pytest.fixture
def session(store: SessionStore) -> Session:
    return store.create("x")


def test_bytes_text_files_and_arrays_are_put_and_read_back(session: Session, tmp_path: Path) -> None:
    (tmp_path / "big.bin").write_bytes(bytes(3 << 20))
    made = session.artifacts.put("big.bin", tmp_path / "big.bin")
    assert (made.size, made.sha256) == (3 << 20, hashlib.sha256(bytes(3 << 20)).hexdigest())
    session.artifacts["note.txt"] = "grüße"
    session.artifacts.put("a.npy", np.arange(3))
    session.artifacts.put("b.bin", io.BytesIO(b"abc"))
    assert list(session.artifacts) == ["big.bin", "note.txt", "a.npy", "b.bin"] and "a.npy" in session.artifacts
    with session.artifacts.open("a.npy") as stream:
        assert np.load(stream).tolist() == [0, 1, 2]
    assert session.artifacts.read("note.txt").decode() == "grüße"
    assert session.artifacts["note.txt"].media_type == "text/plain" and len(session.artifacts) == 4
    assert [each.name for each in session.artifacts.list()][-1] == "b.bin"


def test_a_figure_is_put_as_its_name_ends(session: Session) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([0, 1])
    session.artifacts.put("plot.png", figure)
    session.artifacts.put("plot.svg", figure)
    assert session.artifacts.read("plot.png").startswith(b"\x89PNG") and b"<svg" in session.artifacts.read("plot.svg")


def test_a_file_is_replaced_and_deleted_with_its_entry(session: Session, store: SessionStore) -> None:
    session.artifacts.put("a.txt", b"one")
    session.artifacts.put("a.txt", b"three")
    assert [entry["bytes"] for entry in session.record.artifacts] == [5]
    assert not store.doctor().findings
    (session.folder / "artifacts" / "a.txt").write_bytes(b"other")
    assert [finding.code for finding in store.doctor().findings] == ["artifact-changed"]
    session.artifacts.delete("a.txt")
    assert list((session.folder / "artifacts").iterdir()) == [] and session.record.artifacts == []
    with pytest.raises(KeyError):
        session.artifacts.delete("a.txt")
    with pytest.raises(KeyError):
        session.artifacts.open("a.txt")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "con", "NUL.txt", "a:b", "a ", "a.", ".a", "u\u0308",
                                  "a\x00", "x" * 300, "a\u200b", "what?"])  # fmt: skip
def test_a_name_that_is_not_portable_is_refused_with_one_that_is(session: Session, name: str) -> None:
    with pytest.raises(InvalidName, match="is not a portable file name") as caught:
        session.artifacts.put(name, b"")
    session.artifacts.put(str(caught.value).rpartition("; '")[2].removesuffix("' is"), b"")


def test_names_that_differ_in_case_only_and_values_without_bytes_are_refused(session: Session) -> None:
    session.artifacts.put("Plot.png", b"")
    with pytest.raises(Conflict, match="one file on macOS and Windows"):
        session.artifacts.put("plot.png", b"")
    for source in (object(), io.StringIO("text"), Path("/nothing/here")):
        with pytest.raises(InvalidRecord):
            session.artifacts.put("x", source)
    assert sorted(path.name for path in (session.folder / "artifacts").iterdir()) == ["Plot.png"]


def test_an_artifact_of_a_session_that_was_deleted_makes_no_folder(session: Session, store: SessionStore) -> None:
    store.delete("x")
    with pytest.raises(SessionGone):
        session.artifacts.put("a", b"")
    assert not session.folder.exists()


def test_a_large_file_is_streamed_and_one_that_breaks_off_leaves_the_earlier_one(
    session: Session, tmp_path: Path
) -> None:
    large = tmp_path / "large.bin"
    with large.open("wb") as stream:
        stream.truncate(24 << 20)
    tracemalloc.start()
    try:
        made = session.artifacts.put("large.bin", large)
        with session.artifacts.open("large.bin") as stored:
            assert sum(len(part) for part in iter(lambda: stored.read(1 << 20), b"")) == made.size == 24 << 20
        assert tracemalloc.get_traced_memory()[1] < 6 << 20
    finally:
        tracemalloc.stop()

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 100:
                raise OSError(5, "Input/output error")
            return super().read(200)

    with pytest.raises(OSError):
        session.artifacts.put("large.bin", Broken(bytes(1000)))
    assert session.artifacts["large.bin"].sha256 == made.sha256
    assert [path.name for path in (session.folder / "artifacts").iterdir()] == ["large.bin"]
