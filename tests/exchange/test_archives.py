"""The archives that are written as a stream: other readers take them, and nothing in them depends on the day."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessionstore.errors import StoreUnusable
from sessionstore.exchange import archives
from sessionstore.exchange.archives import ArchiveWriter, TarZstWriter, ZipWriter

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0\\", exclude_categories=["Cs", "Cc"]), min_size=1)
LONG = "x" * 90 + "/" + "y" * 120
MEMBERS = st.dictionaries(NAMES | st.sampled_from([LONG, "a" * 99, "a" * 100, "a" * 101, "ü" * 50]), st.binary())


def written(writer: ArchiveWriter, members: dict[str, bytes], large: Iterable[str] = ()) -> bytes:
    parts: list[bytes] = []
    for name, data in members.items():
        if name in large:
            halves = [data[: len(data) // 2], data[len(data) // 2 :]]
            parts += writer.add_large(name, len(data), halves)
        else:
            writer.add(name, data)
        parts += writer.take()
    writer.close()
    return b"".join([*parts, *writer.take(all_of_it=True)])


@given(MEMBERS, st.booleans())
def test_a_zip_is_read_by_the_standard_library(members: dict[str, bytes], large: bool) -> None:
    data = written(ZipWriter(), members, members if large else ())
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == members
        assert all(each.date_time == (1980, 1, 1, 0, 0, 0) for each in archive.infolist())


def test_a_tar_is_read_by_the_standard_library() -> None:
    zstandard = pytest.importorskip("zstandard")
    members = {"a/b.txt": b"one", LONG: b"two", "a" * 100: b"", "ü.txt": b"x" * 513, "large": bytes(3 << 20)}
    data = written(TarZstWriter(), members, ["large"])
    plain = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    assert len(plain) % 10_240 == 0
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        found = {each.name: archive.extractfile(each) for each in archive}
        assert {name: source.read() for name, source in found.items() if source} == members


@given(st.text(st.characters(max_codepoint=126, min_codepoint=33), max_size=120), st.integers(0, 1 << 40))
def test_the_header_of_a_plain_file_is_that_of_tarfile(name: str, size: int) -> None:
    pytest.importorskip("zstandard")
    assert TarZstWriter()._header(name, size) == archives._ustar_header(name, size)


def test_sizes_and_offsets_beyond_32_bits_and_many_members_make_a_zip64(monkeypatch: pytest.MonkeyPatch) -> None:
    members = {f"{number}.txt": b"x" * number for number in range(300)}
    monkeypatch.setattr(archives, "_FULL32", 5000)
    monkeypatch.setattr(archives, "_FULL16", 100)
    writer = ZipWriter()
    data = written(writer, members)
    assert b"PK\6\6" in data and b"PK\6\7" in data
    # Readers take a field for 64 bits only when it is full, so the small limits of this test are widened in it.
    wide = data.replace((5000).to_bytes(4, "little"), b"\xff" * 4).replace((100).to_bytes(2, "little") * 2, b"\xff" * 4)
    with zipfile.ZipFile(io.BytesIO(wide)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == members


def test_a_zip_of_more_than_65535_members_and_a_member_with_64_bit_sizes_is_read_by_unzip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = {f"{number}": b"" for number in range(66_000)}
    path = tmp_path / "many.zip"
    path.write_bytes(written(ZipWriter(), members))
    with zipfile.ZipFile(path) as archive:
        assert len(archive.namelist()) == 66_000
    if shutil.which("unzip") is None:
        pytest.skip("unzip is not installed")
    assert subprocess.run(["unzip", "-tqq", str(path)], check=False).returncode == 0
    large = tmp_path / "large.zip"
    large.write_bytes(written(ZipWriter(), {"large": bytes(2 << 20), "small": b"x"}, ["large"]))
    assert subprocess.run(["unzip", "-tqq", str(large)], check=False).returncode == 0


@pytest.mark.parametrize("kind", [ZipWriter, TarZstWriter])
def test_a_member_that_changes_its_size_meanwhile_stops_the_archive(kind: type[ZipWriter] | type[TarZstWriter]) -> None:
    if kind is TarZstWriter:
        pytest.importorskip("zstandard")
    for chunks in ([b"12"], [b"123", b"4"]):
        with pytest.raises(StoreUnusable, match="changed while it was packed"):
            list(kind().add_large("log.jsonl", 3, chunks))
