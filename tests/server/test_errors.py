"""The table of problems: every error of the package has its line, and no line tells too much."""

from __future__ import annotations

import errno
import inspect
from types import ModuleType

import pytest

from sessionstore import errors
from sessionstore.server.http.problems import TABLE, ApiProblem, problem_of
from sessionstore.simulation import errors as flights


def classes(module: ModuleType) -> list[type[BaseException]]:
    return [
        each
        for _, each in inspect.getmembers(module, inspect.isclass)
        if issubclass(each, errors.SessionStoreError) and each.__module__ == module.__name__
    ]


@pytest.mark.parametrize("kind", [*classes(errors), *classes(flights)])
def test_every_class_of_errors_has_a_status(kind: type[BaseException]) -> None:
    assert kind in TABLE, f"give {kind.__name__} a line in sessionstore.server.http.problems.TABLE"
    status, slug = TABLE[kind]
    assert 400 <= status < 600 and slug == slug.lower()


def test_a_class_without_a_line_is_answered_as_its_base() -> None:
    class Special(errors.Conflict):
        pass

    assert problem_of(Special("x")).status == 409


def test_a_full_disk_is_507_and_other_troubles_of_the_disk_503() -> None:
    assert problem_of(errors.StoreUnusable(errno.ENOSPC, "No space left on device", "/secret/x")).status == 507
    problem = problem_of(errors.StoreUnusable(errno.EROFS, "Read-only file system", "/secret/x"))
    assert problem.status == 503 and problem.headers["retry-after"]


def test_paths_are_told_relative_to_the_store() -> None:
    error = errors.Corrupt("does not parse", "/home/ada/store/s1/session.json", None, 3, 4)
    problem = problem_of(error, ("/home/ada/store",))
    assert problem.detail == "s1/session.json:3:4: does not parse"
    assert (problem.more["line"], problem.more["column"]) == (3, 4)
    full = problem_of(errors.StoreUnusable(errno.EACCES, "Permission denied", "/home/ada/store/s1"), ())
    assert full.detail == "Permission denied"


def test_a_problem_has_the_shape_of_rfc_9457_and_what_older_programs_look_at() -> None:
    body = problem_of(ApiProblem(412, "stale", "too late", rev=5)).to_dict()
    assert body == {
        "type": "urn:sessionstore:problem:stale", "title": "The session was changed in the meantime", "status": 412,
        "detail": "too late", "success": False, "error": "too late", "rev": 5,
    }  # fmt: skip


def test_what_is_not_in_the_table_is_a_bug_and_says_nothing() -> None:
    problem = problem_of(KeyError("/home/ada/secret"))
    assert problem.status == 500 and "secret" not in problem.detail
