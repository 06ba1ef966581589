"""The users' scripts, as they would be typed, against a real server."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from sessionstore.simulation import create_and_verify_db_session, create_replayable_session, run_session_batch
from sessionstore.simulation.running import api_client
from tests.ports import free_port
from tests.server.conftest import Running

pytestmark = pytest.mark.slow


def test_a_named_session_is_created_and_verified(served: Running) -> None:
    result = CliRunner().invoke(create_and_verify_db_session.main, ["test_session", "--url", served.url])
    assert result.exit_code == 0, result.output
    assert "all is well" in result.output and served.store.get("test_session").record.num_buildings == 3


def test_without_a_name_a_flight_is_started_verified_and_stopped(served: Running) -> None:
    result = CliRunner().invoke(create_and_verify_db_session.main, ["--url", served.url])
    assert result.exit_code == 0, result.output
    assert [row.status for row in served.store.find()] == ["stopped"]


def test_a_folder_that_is_gone_is_told_and_exits_1(served: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    original = create_and_verify_db_session.check_folder

    def after_a_loss(report: api_client.Report, record: dict[str, object]) -> None:
        original(report, {**record, "session_dir_path": "/nowhere"})

    monkeypatch.setattr(create_and_verify_db_session, "check_folder", after_a_loss)
    result = CliRunner().invoke(create_and_verify_db_session.main, ["lost", "--url", served.url])
    assert result.exit_code == 1 and "FAILED" in result.output


def test_a_replayable_session_is_made_and_proven(served: Running) -> None:
    result = CliRunner().invoke(create_replayable_session.main, ["--wait", "4", "--url", served.url])
    assert result.exit_code == 0, result.output
    assert served.store.get("ReplayTest").replay_available


def test_a_batch_shows_a_line_for_each_session(served: Running) -> None:
    result = CliRunner().invoke(run_session_batch.main, ["--count", "3", "--duration", "12", "--url", served.url])
    assert result.exit_code == 0, result.output
    assert [row.status for row in served.store.find()] == ["completed"] * 3
    assert len({row.decoded_metadata()["seed"] for row in served.store.find()}) == 3


def test_a_batch_that_never_moves_exits_1(served: Running) -> None:
    result = CliRunner().invoke(
        run_session_batch.main, ["--count", "1", "--duration", "0.05", "--scouts", "0", "--tankers", "1", "--climbers",
                                 "0", "--url", served.url],
    )  # fmt: skip
    assert result.exit_code == 1, result.output


def test_a_server_that_is_not_there_is_an_error_and_not_an_empty_report() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    result = CliRunner().invoke(create_and_verify_db_session.main, ["x", "--url", url])
    assert result.exit_code == 1 and "refused" in result.output.lower()


@pytest.mark.parametrize(("url", "code"), [("localhost:1", 1), ("ftp://localhost", 2), ("http://", 2), ("no where", 1)])
def test_an_address_that_leads_nowhere_is_one_sentence(url: str, code: int) -> None:
    result = CliRunner().invoke(create_and_verify_db_session.main, ["x", "--url", url])
    assert (result.exit_code, isinstance(result.exception, SystemExit)) == (code, True), result.output
    assert "Error:" in result.output and "Traceback" not in result.output


def test_a_folder_named_beside_a_running_server_is_told_as_unused(served: Running, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        create_and_verify_db_session.main, ["x", "--url", served.url.removeprefix("http://"), "--dir", str(tmp_path)]
    )
    assert result.exit_code == 0 and "is not used" in result.output


def test_a_port_that_is_taken_is_told_without_an_address_that_does_not_answer(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "sessionstore", "serve", "--port", port, "--dir", str(tmp_path)],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert done.returncode == 8 and "is in use" in done.stderr and "http://" not in done.stderr


def test_a_script_starts_and_ends_a_server_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    code = (
        "import sys; from sessionstore.simulation import create_and_verify_db_session as script;"
        "from sessionstore.simulation.running import api_client;"
        f"api_client.DEFAULT_URL = 'http://127.0.0.1:{port}'; script.main(sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "own", "--dir", str(tmp_path / "own")], capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "starting one" in done.stderr and list((tmp_path / "own").glob("*-own"))
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        pass
