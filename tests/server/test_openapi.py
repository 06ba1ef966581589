"""The description is true: every route is in it, and programs that believe it never see a 5xx (schemathesis)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from hypothesis import HealthCheck, settings  # noqa: E402
from hypothesis.errors import FlakyStrategyDefinition  # noqa: E402
from schemathesis.specs.openapi.checks import (  # noqa: E402
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from sessionstore.server.http.openapi import describe  # noqa: E402
from sessionstore.server.routes.table import all_operations  # noqa: E402
from tests.server.conftest import Running  # noqa: E402

EXAMPLES = int(os.environ.get("SESSIONSTORE_API_EXAMPLES", "40"))  # a minute; the long run: 5000
#: These reply for ever, or start processes: they have tests of their own.
DESCRIBED = [content_type_conformance, response_schema_conformance, status_code_conformance]
APART = ("/live", "/events", "/api/start", "/api/restart")

schema = schemathesis.openapi.from_dict(describe(all_operations()))


def test_every_operation_is_described_once_with_a_name_of_its_own() -> None:
    names = [operation.name for operation in all_operations()]
    assert len(names) == len(set(names))
    paths = describe(all_operations())["paths"]
    assert {(operation.path, operation.method.lower()) for operation in all_operations()} == {
        (path, method) for path, methods in paths.items() for method in methods
    }


def test_the_description_and_the_page_for_people_need_no_network(shared: Running) -> None:
    description = shared.client.get("/openapi.json")
    assert description.json()["openapi"] == "3.1.0"
    page = shared.client.get("/docs").text
    for operation in all_operations():
        assert operation.path in page
    assert "<script" not in page and "cdn" not in page.lower() and "http://" not in page and "https://" not in page


def seeded(shared: Running) -> str:
    rows = shared.store.find("name=Seed")
    if rows:
        return rows[0].session_id
    with shared.store.record("Seed") as session:
        for tick in range(40):
            session.motion.append("scout-1", t_s=tick / 20, position_m=(tick, 0, 5))
    return session.session_id


def check(reply: Any, root: str) -> None:
    """Whatever was asked: no 5xx, and every refusal is a problem with a reason and without a path."""
    assert reply.status_code < 500, reply.text
    if reply.status_code >= 400:
        assert reply.headers["content-type"][0].startswith("application/problem+json"), reply.headers
        assert reply.json()["detail"] and root not in reply.text


@pytest.mark.slow
@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
def test_no_input_gets_a_5xx_or_an_undescribed_answer(case: schemathesis.Case, shared: Running) -> None:
    if case.path.endswith(APART):
        return
    if case.method == "GET" and "session_id" in case.path_parameters:
        case.path_parameters["session_id"] = seeded(shared)
    reply = case.call(base_url=shared.url, timeout=60)  # 500 buildings take a second, on a busy machine ten
    check(reply, str(shared.store.root.path))
    case.validate_response(reply, checks=DESCRIBED)


@pytest.mark.slow
def test_no_sequence_of_requests_gets_a_5xx(shared: Running) -> None:
    described = schemathesis.openapi.from_dict(describe(all_operations()))
    described.config.update(base_url=shared.url)
    machine = described.include(tag="sessions").exclude(path_regex="live|events").as_state_machine()
    root = str(shared.store.root.path)

    wrong: list[str] = []

    class Checked(machine):  # type: ignore[valid-type,misc]
        def validate_response(self, response: Any, case: Any, *_: Any, **__: Any) -> None:
            try:
                check(response, root)
            except AssertionError as error:
                wrong.append(str(error))
                raise

    few = settings(
        max_examples=EXAMPLES,
        stateful_step_count=8,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    for _ in range(3):  # the store is not emptied between two sequences, so one may go another way the second time
        try:
            Checked.run(settings=few)
            break
        except FlakyStrategyDefinition:
            assert not wrong, wrong
    else:
        pytest.fail("no run of sequences came to its end")
    assert not wrong, wrong


@pytest.fixture(autouse=True, scope="module")
def _whole_store(shared: Running) -> Iterator[None]:
    """Whatever was sent: afterwards every session that is stored can be read."""
    yield
    for row in shared.store.find():
        assert row.problem is None, row
        assert shared.store.get(row.session_id).record.session_id == row.session_id
