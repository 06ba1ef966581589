"""Bundles: valid bags and crates, the same bytes for the same sessions, and hostile ones are refused whole."""

from __future__ import annotations

import io
import json
import platform
import random
import stat
import sys
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import bagit
import pytest
import zstandard
from click.testing import CliRunner
from rocrate.rocrate import ROCrate

import sessionstore
from sessionstore.cli.maintenance import verify
from sessionstore.errors import Conflict, Corrupt, InvalidName, UnsafeFile
from sessionstore.exchange.bundle import write_bundle
from sessionstore.exchange.merge import merge
from sessionstore.exchange.trees import FolderTree
from sessionstore.exchange.verify import Bundle, verify_bundle
from sessionstore.reruns.programs import run_program
from sessionstore.store import SessionStore
from tests.exchange.test_merge import contents, flown, listed


@pytest.fixture
def there(tmp_path: Path) -> SessionStore:
    store = sessionstore.open(tmp_path / "there")
    flown(store, "Moth").artifacts.put("deep plot.txt", b"a plot")
    flown(store)
    return store


def trees(store: SessionStore) -> list[FolderTree]:
    return [FolderTree(store.root.folder(row.session_id)) for row in store.find()]


def packed(store: SessionStore, path: Path) -> Path:
    write_bundle(list(trees(store)), path)
    return path


@pytest.mark.parametrize("name", ["fleet.zip", "fleet.tar.zst", "fleet"])
def test_a_bundle_goes_to_another_store_whole(there: SessionStore, tmp_path: Path, name: str) -> None:
    path = packed(there, tmp_path / name)
    here = sessionstore.open(tmp_path / "here")
    assert merge(here, path).count("copied") == 2
    assert contents(here) == contents(there)
    assert merge(here, path).count("same") == 2
    assert list(here.root.staging.iterdir()) == []


@pytest.mark.parametrize("name", ["fleet.zip", "fleet.tar.zst"])
def test_the_same_sessions_give_the_same_bytes(there: SessionStore, tmp_path: Path, name: str) -> None:
    assert packed(there, tmp_path / f"1-{name}").read_bytes() == packed(there, tmp_path / f"2-{name}").read_bytes()


def test_other_programs_validate_it(there: SessionStore, tmp_path: Path) -> None:
    folder = packed(there, tmp_path / "fleet")
    assert bagit.Bag(str(folder)).validate()
    crate = ROCrate(str(folder / "data"))
    actions = [entity for entity in crate.contextual_entities if entity.type == "CreateAction"]
    assert len(actions) == 2 and {action["instrument"].type for action in actions} == {"SoftwareApplication"}
    with zipfile.ZipFile(packed(there, tmp_path / "fleet.zip")) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "unzipped")
    assert bagit.Bag(str(tmp_path / "unzipped" / "sessions")).validate()


def test_the_description_says_what_went_into_a_run_what_ran_and_how_it_ended(
    there: SessionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLEET", "north")
    (tmp_path / "plan of flight.txt").write_text("up")
    command = [sys.executable, "-c", "import sys; sys.exit(3)"]
    ended = run_program(there, command, "Mine", ["plan of flight.txt"], ["FLEET"], metadata={"rerun_of": "elsewhere"})
    mark = {"id": "glider", "number": 1, "point": "p", "parameters": {"wind": 2.5, "mode": {"a": 1}}}
    first = next(row.session_id for row in there.find() if row.session_name == "Moth")
    there.create(
        "Point", seed=4, function={"place": "/sims/glider.py:glide"}, metadata={"sweep": mark, "rerun_of": first}
    )
    crate = ROCrate(str(packed(there, tmp_path / "fleet") / "data"))

    runs = {each["name"]: each for each in crate.contextual_entities if each.type == "CreateAction"}
    mine, point = runs["Mine"], runs["Point"]
    assert mine["instrument"]["name"] == " ".join(command) and mine["instrument"]["operatingSystem"]
    assert mine["instrument"]["softwareRequirements"]["softwareVersion"] == platform.python_version()
    assert mine["actionStatus"].endswith("FailedActionStatus") and mine["error"] == "the program ended with exit code 3"
    (plan,) = mine["object"]
    assert plan["name"] == "plan of flight.txt" and plan["sha256"] == sha256(b"up").hexdigest() and plan.type == "File"
    assert [(each["name"], each["value"]) for each in mine["environment"]] == [("FLEET", "north")]
    assert mine["result"]["@id"] == f"{ended.session_id}/" and mine["result"]["isBasedOn"]["name"] == "elsewhere"
    values = {each["name"]: each["value"] for each in point["object"]}
    assert values == {"seed": 4, "wind": 2.5, "mode": '{"a":1}'}
    assert point["instrument"]["name"] == "/sims/glider.py:glide" and point["result"]["isBasedOn"]["@id"] == f"{first}/"
    assert len({each["instrument"]["@id"] for each in runs.values()}) == 3  # the two flights have the same program


def rewritten(path: Path, change: Callable[[zipfile.ZipFile, zipfile.ZipInfo, bytes], None]) -> Path:
    """Return a copy of a ZIP in which each member was written anew by ``change``."""
    other = path.with_name("changed.zip")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(other, "w") as target:
        for member in source.infolist():
            change(target, member, source.read(member))
    return other


def test_a_wrong_missing_or_additional_file_is_refused_and_nothing_is_visible(
    there: SessionStore, tmp_path: Path
) -> None:
    path = packed(there, tmp_path / "fleet.zip")

    def wrong(target: zipfile.ZipFile, member: zipfile.ZipInfo, data: bytes) -> None:
        target.writestr(member, data.replace(b"scout-1", b"scout-2") if "motion" in member.filename else data)

    def missing(target: zipfile.ZipFile, member: zipfile.ZipInfo, data: bytes) -> None:
        if "clock" not in member.filename:
            target.writestr(member, data)

    def additional(target: zipfile.ZipFile, member: zipfile.ZipInfo, data: bytes) -> None:
        target.writestr(member, data)
        if member.filename.endswith("bagit.txt"):
            target.writestr("sessions/data/extra.txt", b"extra")

    here = sessionstore.open(tmp_path / "here")
    for change, reason in ((wrong, "checksum"), (missing, "missing"), (additional, "not in the manifest")):
        with pytest.raises(Corrupt, match=reason):
            merge(here, rewritten(path, change))
    assert listed(here) == []


@pytest.mark.parametrize(
    "name",
    ["../out.txt", "/etc/out.txt", "C:/out.txt", "a\\..\\out.txt", "a/../../out.txt", "a//b.txt", "a/\x01.txt"],
)
@pytest.mark.parametrize("form", ["zip", "tar"])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str, form: str) -> None:
    check_refused(tmp_path, form, [(name, stat.S_IFREG)])


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
@pytest.mark.parametrize("form", ["zip", "tar"])
def test_links_and_devices_are_refused(tmp_path: Path, kind: int, form: str) -> None:
    check_refused(tmp_path, form, [("s/session.json", stat.S_IFREG), ("s/link", kind)])


@pytest.mark.parametrize("form", ["zip", "tar"])
@pytest.mark.parametrize("names", [("s/A.txt", "s/a.txt"), ("s/\u00e9.txt", "s/e\u0301.txt"), ("s/a.txt", "s/a.txt")])
def test_two_names_that_a_file_system_takes_for_one_are_refused(
    tmp_path: Path, form: str, names: tuple[str, str]
) -> None:
    check_refused(tmp_path, form, [(name, stat.S_IFREG) for name in names])


def check_refused(tmp_path: Path, form: str, members: list[tuple[str, int]]) -> None:
    path = tmp_path / ("bad.zip" if form == "zip" else "bad.tar.zst")
    if form == "zip":
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
            warnings.simplefilter("ignore")  # zipfile warns of a name that is there twice
            for name, kind in members:
                info = zipfile.ZipInfo("x")
                info.filename, info.external_attr = name, (kind | 0o644) << 16
                archive.writestr(info, b"{}")
    else:
        raw = io.BytesIO()
        types = {stat.S_IFLNK: tarfile.SYMTYPE, stat.S_IFIFO: tarfile.FIFOTYPE, stat.S_IFCHR: tarfile.CHRTYPE}
        with tarfile.open(fileobj=raw, mode="w") as archive_:
            for name, kind in members:
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname = types.get(kind, tarfile.REGTYPE), "/etc/passwd"
                archive_.addfile(entry, io.BytesIO())
        path.write_bytes(zstandard.compress(raw.getvalue()))
    here = sessionstore.open(tmp_path / "here")
    with pytest.raises((UnsafeFile, Corrupt)):
        merge(here, path)
    assert listed(here) == [] and not (tmp_path / "out.txt").exists()
    assert not here.root.staging.exists() or list(here.root.staging.iterdir()) == []


def test_a_bomb_is_refused_by_its_ratio(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("s/session.json", "w") as member:
        for _ in range(300):
            member.write(bytes(1 << 20))
    with pytest.raises(UnsafeFile, match="times its size"):
        Bundle(path)


def test_garbage_and_other_archives_are_refused(there: SessionStore, tmp_path: Path) -> None:
    here = sessionstore.open(tmp_path / "here")
    for name in ("garbage.zip", "garbage.tar.zst"):
        (tmp_path / name).write_bytes(b"no archive")
        with pytest.raises(Corrupt):
            merge(here, tmp_path / name)
    with pytest.raises(InvalidName):
        packed(there, tmp_path / "fleet.rar")
    packed(there, tmp_path / "fleet")
    with pytest.raises(Conflict, match="exists"):
        packed(there, tmp_path / "fleet")


def test_an_archive_that_is_cut_at_any_place_is_refused_whole(there: SessionStore, tmp_path: Path) -> None:
    for name in ("fleet.zip", "fleet.tar.zst"):
        data = packed(there, tmp_path / name).read_bytes()
        here = sessionstore.open(tmp_path / "here")
        for part in range(20):
            cut = tmp_path / f"cut-{name}"
            cut.write_bytes(data[: len(data) * part // 20])
            with pytest.raises(Corrupt):
                merge(here, cut)
            assert listed(here) == []


@pytest.mark.parametrize("form", [".zip", ".tar.zst", ""])
def test_names_that_windows_cannot_store_are_packed_and_told(there: SessionStore, tmp_path: Path, form: str) -> None:
    session = next(iter(there.values()))
    old, new = session.folder, session.folder.with_name("a?b")
    old.rename(new)
    (new / "artifacts").mkdir(exist_ok=True)
    (new / "artifacts" / "aux.txt").write_text("x")
    path = tmp_path / f"x{form}"
    with SessionStore(there.root.path) as renamed:
        report = renamed.pack(path)
    assert report.clean and report.not_portable == ["a?b"]
    result = CliRunner().invoke(verify, [str(path), "--json"])
    assert result.exit_code == 0, result.output
    [found] = json.loads(result.stdout)
    assert found["whole"] and found["not_portable"] == ["data/a?b"]
    shown = CliRunner().invoke(verify, [str(path)]).output
    assert "not portable: 'data/a?b' cannot be stored on every operating system" in shown
    new.rename(old)
    with SessionStore(there.root.path) as renamed:
        assert renamed.pack(tmp_path / f"run:1{form}").not_portable == [
            f"{old.name}/artifacts/aux.txt", f"run:1{form}"
        ]  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_a_tar_with_any_wrong_byte_that_matters_is_corrupt_and_no_other_error(
    store: SessionStore, tmp_path: Path, seed: int
) -> None:
    zstandard = pytest.importorskip("zstandard")
    with store.record("Butterfly") as run:
        for tick in range(300):
            run.motion.append("scout-1", tick / 10, (random.Random(tick).random(), 0, 5))
    path = tmp_path / "fleet.tar.zst"
    store.pack(path)
    whole = path.read_bytes()
    data = bytearray(whole)
    data[random.Random(seed).randrange(len(data))] ^= 1 << seed % 8
    path.write_bytes(data)
    try:
        verify_bundle(path)
    except (Corrupt, UnsafeFile):
        return
    unpacked = [zstandard.ZstdDecompressor().decompressobj().decompress(bytes(each)) for each in (whole, data)]
    assert unpacked[0] == unpacked[1], (
        "a wrong byte of the content passed (some bits of zstd's own tables do not matter)"
    )
