"""The report counts and never claims; the lists of bugs and of planted faults name code and tests that exist."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from tests.proof import found, report
from tests.proof.mutant_list import MUTANTS, Mutant
from tests.proof.tally import tally


@pytest.fixture
def figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "figures.jsonl"
    monkeypatch.setenv("PROOF_FIGURES", str(path))
    return path


def lines_of(figures: Path) -> list[report.Line]:
    return [json.loads(line) for line in figures.read_text().splitlines()]


def test_what_was_counted_is_added_up_by_row_and_over_all(figures: Path) -> None:
    for _ in range(2):
        with tally("T4 cuts") as count:
            count(cuts=600, within=3)
    with tally("T10 damage") as count:
        count(inputs=7)
        count.measure("median", "3 ms")
    text = report.table(lines_of(figures))
    assert "| T4 cuts | 1,200 cuts, 6 within | 0 |\n| T10 damage | 7 inputs, median 3 ms | 0 |" in text
    assert text.endswith("| **all** | 1,200 cuts, 7 inputs | 0 |")


def test_an_anomaly_fails_the_test_and_stands_in_the_table(figures: Path) -> None:
    with pytest.raises(AssertionError, match="a lost line"), tally("T1 kills") as count:
        count(kills=3)
        count.wrong += ["a lost line", "another"]
    with pytest.raises(KeyError), tally("T1 kills") as count:
        count(kills=1)
        raise KeyError("what nobody expected")
    assert "| T1 kills | 4 kills | 3 |" in report.table(lines_of(figures))


def test_what_was_done_within_each_operation_stands_in_a_table_of_its_own(figures: Path) -> None:
    for name in ("page", "update", "page"):
        with tally("T1 kills") as count:
            count(kills=600)
            count.within(name, kills=600)
    with tally("T2 errors") as count:
        count.within("update", errors=7)
    text = report.document(lines_of(figures), "", 60.0, 0, "abc1234")
    assert (
        "| operation | kills | errors |\n|---|---|---|\n"
        "| update | 600 | 7 |\n| page, its columns made anew | 1,200 | 0 |" in text
    )
    assert "| T1 kills | 1,800 kills | 0 |" in text


def test_nothing_is_written_when_no_report_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PROOF_FIGURES", raising=False)
    with tally("T1 kills") as count:
        count(kills=1)
    assert list(tmp_path.iterdir()) == []


def test_the_table_goes_between_the_marks_and_nothing_else_changes() -> None:
    text = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    once = report.replaced(text, "new")
    assert once == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n"
    assert report.replaced(once, "new") == once
    with pytest.raises(SystemExit):
        report.replaced("no marks", "new")


def test_what_failed_and_what_was_left_out_is_said() -> None:
    output = "SKIPPED [2] tests/proof/test_power.py:21: loop devices are missing\n1 failed, 3 passed"
    text = report.document([], output, 120.0, 1, "abc1234")
    assert "Left out: loop devices are missing." in text
    assert "FAILED (exit code 1)" in text and "commit abc1234" in text


@pytest.mark.parametrize("bug", [*found.IN_OUR_CODE, *found.IN_THE_HARNESS], ids=lambda bug: bug.bug[:40])
def test_each_bug_that_was_found_has_a_test_that_exists(bug: found.Found) -> None:
    path, _, name = bug.test.partition("::")
    assert f"def {name}(" in (found.HERE / path).read_text()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_planted_fault_finds_its_code_once_and_its_test(mutant: Mutant) -> None:
    source = (found.HERE / mutant.file).read_text("utf-8")
    assert source.count(mutant.code) == 1, "the code has changed: write it into tests/proof/mutant_list.py as it is now"
    assert mutant.fault != mutant.code
    ast.parse(source.replace(mutant.code, mutant.fault))
    path, _, test = mutant.test.partition("::")
    assert f"def {test.partition('[')[0]}(" in (found.HERE / path).read_text("utf-8"), "its test has another name"
