"""Which points a sweep has: samplers, conditions, hashes of functions, mean and interval."""

from __future__ import annotations

import random
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sessionstore.errors import InvalidRecord
from sessionstore.sweeps import definition, samplers
from sessionstore.sweeps.definition import Definition, numbered
from sessionstore.sweeps.expressions import Expression
from sessionstore.sweeps.fingerprint import of_function
from sessionstore.sweeps.statistics import summary, t_975
from tests.pages import DOCS, blocks


def made(**given: Any) -> Definition:
    return Definition(name="x", program="x", fingerprint="f", **given)


def test_a_grid_has_each_combination_and_zip_goes_along() -> None:
    sets = made(grid={"a": [1, 2], "b": ["x"]}, zip={"c": [5, 6], "d": [7, 8]}, seeds=[0, 3]).parameter_sets()
    assert len(sets) == 8
    assert sets[0] == {"a": 1, "b": "x", "c": 5, "d": 7, "seed": 0}
    assert sets[-1] == {"a": 2, "b": "x", "c": 6, "d": 8, "seed": 3}


def test_an_axis_is_a_list_or_evenly_spaced() -> None:
    assert samplers.values_of("a", {"from": 0, "to": 1, "count": 3}) == [0.0, 0.5, 1.0]
    assert samplers.values_of("a", {"from": 0.0, "to": 0.3, "step": 0.1}) == [0.0, 0.1, 0.2, 0.3]
    assert samplers.values_of("a", {"from": 2, "to": 7, "step": 2}) == [2, 4, 6]


@pytest.mark.parametrize("sampler", samplers.DRAWN)
def test_drawn_points_are_within_their_ranges_and_the_same_each_time(sampler: str) -> None:
    if sampler != "random":
        pytest.importorskip("scipy", reason="scipy is not installed")
    ranges = {
        "x": [0.5, 2.0],
        "n": [1, 4],
        "gain": {"low": 1e-3, "high": 10.0, "log": True},
        "kind": {"choices": ["a", "b", "c"]},
    }
    sets = samplers.drawn(sampler, {"count": 60, "parameters": ranges, "seed": 4})
    assert sets == samplers.drawn(sampler, {"count": 60, "parameters": ranges, "seed": 4})
    assert sets != samplers.drawn(sampler, {"count": 60, "parameters": ranges, "seed": 5})
    assert all(0.5 <= each["x"] <= 2.0 and 1e-3 <= each["gain"] <= 10.0 for each in sets)
    assert {each["n"] for each in sets} == {1, 2, 3, 4} and {each["kind"] for each in sets} == {"a", "b", "c"}
    below = sum(each["gain"] < 0.1 for each in sets)
    assert 20 <= below <= 40, "half of the values lie in the lower half of the exponents"


def test_a_latin_hypercube_has_one_point_in_each_slice() -> None:
    pytest.importorskip("scipy", reason="scipy is not installed")
    sets = samplers.drawn("latin_hypercube", {"count": 20, "parameters": {"x": [0.0, 1.0], "y": [0.0, 1.0]}})
    for name in "xy":
        assert sorted(int(each[name] * 20) for each in sets) == list(range(20))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"grid": {"a": []}}, "the list is empty"),
        ({"grid": {"a": "calm"}}, "a list of values"),
        ({"zip": {"a": [1], "b": [1, 2]}}, "different lengths"),
        ({"grid": {"a": [1]}, "zip": {"a": [2]}}, "a varies twice"),
        ({"random": {"count": 3}}, "parameters is a table"),
        ({"random": {"count": 3, "parameters": {"x": [2, 1]}}}, "low is below high"),
        ({"random": {"count": 3, "parameters": {"x": {"low": 0, "high": 1, "log": True}}}}, "above 0 with log"),
        ({"grid": {"a": list(range(2000)), "b": list(range(2000))}}, "more than 1,000,000"),
        ({"grid": {"a": [1]}, "exclude": ["a == 1"]}, "exclude every point"),
    ],
)
def test_what_cannot_be_sampled_is_refused_with_the_reason(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidRecord, match=reason):
        made(**given).parameter_sets()


def test_conditions_exclude_points() -> None:
    sets = made(grid={"wind": [0, 5, 10], "load.kind": ["full", "empty"]}, exclude=["wind > 4 and load.kind == 'full'"])
    assert [tuple(each.values()) for each in sets.parameter_sets()] == [
        (0, "full"), (0, "empty"), (5, "empty"), (10, "empty"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["__import__('os').system('true')", "a.__class__()", "[x for x in y]", "lambda: 1", "a[0]", "f'{a}'", "a :="],
)
def test_an_expression_is_arithmetic_and_nothing_else(text: str) -> None:
    with pytest.raises(InvalidRecord):
        Expression(text)


def test_an_objective_without_a_value_is_none() -> None:
    values = {"totals": {"energy": 6.0, "windows": 0}, "totals.spare": 3}
    assert Expression("totals.energy / 2").number(values) == 3.0
    assert Expression("totals.energy / totals.windows").number(values) is None
    assert Expression("totals.gone").number(values) is None
    assert Expression("max(totals.energy, totals.spare)").number(values) == 6.0


def test_a_point_is_known_by_its_parameters_and_its_program_and_keeps_its_number() -> None:
    before = numbered([{"a": 1}, {"a": 2}], "f")
    after = numbered([{"a": 2}, {"a": 3}, {"a": 2}], "f", before)
    assert [(point.number, point.parameters["a"]) for point in after] == [(2, 2), (3, 3)]
    assert after[0].key == before[1].key
    assert definition.key_of({"a": 2, "b": 1}, "f") == definition.key_of({"b": 1, "a": 2}, "f")
    assert definition.key_of({"a": 2}, "f") != definition.key_of({"a": 2}, "g")


def in_module(source: str) -> Callable[..., Any]:
    """Return the function ``fly`` of a source, as a module of its own has it."""
    module = types.ModuleType("some_simulation")
    exec(source, vars(module))
    found: Callable[..., Any] = vars(module)["fly"]
    return found


BODY = "K = 3\ndef part(x):\n    return x * K\ndef other():\n    return 1\ndef fly(x):\n    return part(x)\n"


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        (BODY.replace("return part(x)", "return part(x)  # a comment"), True),
        (BODY.replace("return 1", "return 2"), True),  # what it does not use
        (BODY.replace("K = 3", "K = 4"), False),
        (BODY.replace("x * K", "x + K"), False),
        (BODY.replace("return part(x)", "return -part(x)"), False),
    ],
)
def test_a_function_is_known_by_what_it_does(changed: str, same: bool) -> None:
    assert (of_function(in_module(BODY)) == of_function(in_module(changed))) is same


def test_a_closure_counts_with_its_values() -> None:
    def factory(gain: float) -> Callable[[float], float]:
        return lambda x: x * gain

    assert of_function(factory(2.0)) == of_function(factory(2.0)) != of_function(factory(3.0))


def test_the_interval_is_that_of_student_s_t() -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    for degrees in (*range(1, 60), 100, 1000):
        assert t_975(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), abs=6e-5)
    values = [random.Random(n).gauss(5, 2) for n in range(12)]
    low, high = stats.t.interval(0.95, 11, sum(values) / 12, stats.sem(values))
    found = summary(values)
    assert found.half_width is not None
    assert (found.mean - found.half_width, found.mean + found.half_width) == pytest.approx((low, high), abs=1e-4)
    assert summary([4.0]).half_width is None


JOB = """
import ast, sys
from dask_jobqueue import SLURMCluster

(call,) = [
    node.value for node in ast.walk(ast.parse(sys.stdin.read()))
    if isinstance(node, ast.Assign) and getattr(getattr(node.value, "func", None), "id", "") == "SLURMCluster"
]
given = {each.arg: ast.literal_eval(each.value) for each in call.keywords}
with SLURMCluster(**given, python="python3", scheduler_options={"dashboard_address": None}) as cluster:
    print(cluster.job_script())
"""


def test_the_program_for_slurm_submits_the_job_that_the_page_describes(tmp_path: Path) -> None:
    pytest.importorskip("dask_jobqueue", reason="dask-jobqueue is not installed")
    (program,) = [block.text for block in blocks(DOCS / "clusters.md", "text") if "SLURMCluster(" in block.text]
    command = [sys.executable, "-W", "ignore", "-c", JOB]
    done = subprocess.run(command, input=program, text=True, capture_output=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = {" ".join(line.split()) for line in done.stdout.splitlines()}
    assert {"#SBATCH -p normal", "#SBATCH --cpus-per-task=8", "#SBATCH -t 04:00:00", "#SBATCH --requeue"} <= lines
    (worker,) = [line for line in lines if "dask_worker tcp://" in line]
    assert "--nworkers 8 " in worker and "--nthreads 1 " in worker and "--lifetime 3h50m" in worker
    assert subprocess.run(["bash", "-n"], input=done.stdout, text=True).returncode == 0


def test_the_files_for_clusters_are_whole() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    page = DOCS / "clusters.md"
    values, job = (yaml.safe_load(block.text) for block in blocks(page, "yaml"))
    assert values["worker"]["replicas"] == 20 and values["worker"]["threads_per_worker"] == 1
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert (job["kind"], container["command"][:2]) == ("Job", ["sessionstore", "sweep"])
    volumes = {volume["name"] for volume in job["spec"]["template"]["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    texts = [block.text for block in blocks(page, "text")]
    (program,) = [text for text in texts if "SLURMCluster" in text]
    compile(program, "sweep_on_slurm.py", "exec")
    (script,) = [text for text in texts if text.startswith("#!/bin/bash")]
    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
