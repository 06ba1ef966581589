"""Decisions, their outcomes, and the data set over all sessions."""

from __future__ import annotations

import csv
import io
import json

from click.testing import CliRunner

from sessionstore.boxes.session_db_box import SessionDBBox
from sessionstore.cli.training import training
from sessionstore.simulation.hmrs_simulation_live import HMRSSimulationLive
from sessionstore.simulation.mission.decisions import Ledger
from sessionstore.simulation.running.training_export import training_rows, write_csv
from sessionstore.store import SessionStore
from tests.simulation.flights import scenario


def fly_two(store: SessionStore) -> None:
    for seed in (1, 2):
        plan = scenario(seed=seed, duration_s=200.0)
        HMRSSimulationLive(plan, session_db_box=SessionDBBox(store=store)).run()


def test_a_decision_is_written_with_its_outcome_and_an_open_one_says_so() -> None:
    ledger = Ledger()
    one = ledger.decide("clean", "c", 1.0, {"dirt": 0.5}, {"window": "w"})
    ledger.decide("return", "s", 2.0, {}, {})
    one.close({"cleaned": True})
    ledger.close_all("the run ended")
    assert [line["outcome"] for line in ledger.done] == [{"cleaned": True}, {"unknown": "the run ended"}]
    assert ledger.done[0]["decided_t"] == 1.0 and ledger.open == {}


def test_every_decision_of_every_session_is_a_row_with_features_and_outcome(store: SessionStore) -> None:
    fly_two(store)
    store.create("without decisions")
    rows = list(training_rows(store))
    assert len({row["session_id"] for row in rows}) == 2 and {row["seed"] for row in rows} == {1, 2}
    cleaned = [row for row in rows if row["kind"] == "clean" and row.get("outcome.cleaned")]
    assert cleaned
    for row in cleaned:
        assert row["outcome.dirt_after"] < row["features.dirt_estimate"] + 0.2
        assert row["t"] >= row["decided_t"]
    assert {row["kind"] for row in rows} >= {"clean", "return", "inspect"}


def test_the_command_prints_json_lines_or_a_table(store: SessionStore) -> None:
    fly_two(store)
    folder = ["--dir", str(store.root.path)]
    lines = CliRunner().invoke(training, folder).stdout.splitlines()
    table = list(csv.DictReader(io.StringIO(CliRunner().invoke(training, [*folder, "--csv"]).stdout)))
    assert len(lines) == len(table) > 10
    assert json.loads(lines[0])["session_id"] == table[0]["session_id"]
    assert CliRunner().invoke(training, [*folder, "--where", "status=failed"]).stdout == ""


def test_a_cell_that_a_spreadsheet_would_run_is_defused() -> None:
    out = io.StringIO()
    assert write_csv([{"name": "=cmd()", "value": -1.5}], out) == 1
    assert out.getvalue() == "name,value\n'=cmd(),-1.5\n"
