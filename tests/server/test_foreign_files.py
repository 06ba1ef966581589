"""Files of other programs over HTTP: imported with a report, taken back, exported; bad ones leave nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sessionstore.server.routes.foreign import safe_name
from tests.conftest import DATA
from tests.server.conftest import Running

FILE = {"content-type": "application/octet-stream"}


def send(served: Running, data: bytes, name: str, **query: str) -> Any:
    return served.client.post("/api/imports", params={"name": name, **query}, content=data, headers=FILE)


def left_in_staging(served: Running) -> list[str]:
    staging = served.store.root.staging
    return [entry.name for entry in staging.iterdir()] if staging.is_dir() else []


def test_a_flight_log_becomes_a_session_and_is_taken_back(served: Running, tmp_path: Path) -> None:
    pytest.importorskip("pymavlink")
    from tests.formats.autopilot_logs import write_bin

    write_bin(tmp_path / "a.bin", 2.0)
    data = (tmp_path / "a.bin").read_bytes()
    reply = send(served, data, "../../field day/a b.bin")
    found = reply.json()
    assert (reply.status_code, found["state"], found["format"], found["source"]) == (
        200,
        "imported",
        "dataflash",
        "a b.bin",
    )
    assert found["topics"]["ATT"] == {"messages_in": 20, "records_out": 20, "stream": "ATT"}
    session = served.store.get(found["session_id"])
    assert session.record.session_name == "a b" and session.record.provenance["imported_from"]["name"] == "a b.bin"
    assert left_in_staging(served) == []
    again = send(served, data, "other.bin").json()
    assert (again["state"], again["session_id"], again["change_id"]) == ("already there", found["session_id"], None)
    assert served.client.post(f"/api/merges/{found['change_id']}/undo").status_code == 200
    assert not served.store.find(f"id={found['session_id']}")
    assert send(served, data[:-30], "cut.bin").json()["problems"][0].startswith("partial: ")


@pytest.mark.parametrize(
    ("data", "query", "status"),
    [
        (b"no format at all", {}, 400), (b"", {}, 400), (b"\x89MCAP0\r\n" + b"\xff" * 60, {}, 409),
        (b"text", {"format": "nothing"}, 400), (b"text", {"format": "kml"}, 400), (b"a", {"unknown": "1"}, 400),
    ],
)  # fmt: skip
def test_what_cannot_be_imported_is_refused_with_a_reason_and_leaves_nothing(
    served: Running, data: bytes, query: dict[str, str], status: int
) -> None:
    pytest.importorskip("mcap")
    reply = send(served, data, "file.ulg", **query)
    assert reply.status_code == status and reply.json()["detail"] and str(served.store.root.path) not in reply.text
    assert left_in_staging(served) == [] and not served.store.find("name=file")


def test_a_dry_run_reports_and_changes_nothing(served: Running) -> None:
    pytest.importorskip("pyulog")
    before = served.store.keys()
    found = send(served, (DATA / "px4_flight_small.ulg").read_bytes(), "x.ulg", dry_run="true").json()
    assert found["state"] == "would import" and found["topics"]["vehicle_local_position"]["messages_in"] == 636
    assert served.store.keys() == before and found["change_id"] is None


def test_a_session_is_exported_in_the_formats_that_are_installed(served: Running) -> None:
    with served.store.record("mapped", gps={"lat": 52.0, "lon": 4.3, "alt": 1.0}) as session:
        session.motion.append("d1", 0.0, (0, 0, 5))
        session.motion.append("d1", 1.0, (10, 0, 5))
    one = f"/api/sessions/{session.session_id}/export"
    reply = served.client.get(f"{one}/gpx")
    assert reply.status_code == 200 and b"<trkpt" in reply.content and left_in_staging(served) == []
    assert f"{session.session_id}.gpx" in reply.headers["content-disposition"]
    assert served.client.get(f"{one}/nothing").status_code == 400
    assert served.client.get(f"{one}/ulog").status_code == 400
    assert "folder" in served.client.get(f"{one}/legacy").json()["detail"]
    assert served.client.get("/api/sessions/nobody/export/gpx").status_code == 404
    session.update(gps=None)
    refused = served.client.get(f"{one}/gpx")
    assert refused.status_code == 400 and "GPS origin" in refused.json()["detail"] and left_in_staging(served) == []
    listed = {each["name"]: each for each in served.client.get("/api/formats").json()["formats"]}
    assert listed["gpx"]["writes"] and not listed["gpx"]["reads"] and listed["gpx"]["install"] == ""


def test_a_name_from_a_client_is_never_a_path() -> None:
    names = {
        "../../etc/passwd": "passwd", "C:\\logs\\a.bin": "a.bin", "..": "file", "": "file", "a\0b\n.ulg": "a_b_.ulg",
        ".hidden": "hidden", "x" * 300 + ".mcap": "x" * 116 + ".mcap", "März 3 (b).tlog": "März 3 (b).tlog",
    }  # fmt: skip
    assert {name: safe_name(name) for name in names} == names
