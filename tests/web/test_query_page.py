"""The place Query in a browser: completion, rows, chart, files, an address that can be sent; axe in light and dark."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

from pyarrow import parquet

from tests.server.conftest import Running
from tests.web.conftest import until
from tests.web.test_pages import AXE

pytestmark = [pytest.mark.web, pytest.mark.slow]
Opener = Callable[..., Any]
SQL = (
    "select sim_time, drone, z from motion_history where session_id = (select max(session_id) from sessions) order by 1"
)


def opened(site: Running, open_page: Opener, sql: str = "", **options: Any) -> Any:
    page = open_page(**options)
    page.goto(f"{site.url}/query" + (f"?sql={quote(sql)}" if sql else ""))
    page.wait_for_selector("sql-query textarea")
    return page


def test_an_address_shows_its_rows_and_a_chart(site: Running, open_page: Opener) -> None:
    page = opened(site, open_page, SQL)
    page.wait_for_selector("sql-query[data-ready=true]")
    assert page.locator(".query-result tbody tr").count() > 10
    assert page.locator(".query-result th").all_inner_texts() == ["sim_time", "drone", "z"]
    assert "scout" in page.locator(".query-legend").inner_text()
    painted = "() => { const c = document.querySelector('.query-chart canvas'); const d = c.getContext('2d')"
    painted += ".getImageData(0, 0, c.width, c.height).data; return d.some((each) => each > 0); }"
    assert page.evaluate(painted)
    if folder := os.environ.get("PICTURES"):
        page.screenshot(path=f"{folder}/query.png")


def test_names_are_completed_while_a_statement_is_typed(site: Running, open_page: Opener) -> None:
    page = opened(site, open_page)
    until(page, "document.querySelectorAll('.query-tables details').length > 4")
    page.fill("#sql", "")
    page.locator("#sql").press_sequentially("select count(*) as c from sess")
    assert page.locator(".completion li").all_inner_texts() == ["sessions"]
    page.keyboard.press("Tab")
    assert page.input_value("#sql") == "select count(*) as c from sessions"
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("sql-query[data-ready=true]")
    assert page.locator(".query-result tbody td").all_inner_texts() == ["2"]
    assert "sql=select" in page.url


def test_a_mistake_is_said_and_the_statement_stays(site: Running, open_page: Opener) -> None:
    page = opened(site, open_page, "select nothing from sessions", expect=("400",))
    until(page, "document.querySelector('sql-query [role=status]').textContent.includes('nothing')")
    assert page.input_value("#sql") == "select nothing from sessions"


def test_the_rows_can_be_taken_away_as_csv_and_parquet(site: Running, open_page: Opener, tmp_path: Path) -> None:
    page = opened(site, open_page, "select session_name, points from sessions order by 1")
    page.wait_for_selector("sql-query[data-ready=true]")
    for form in ("csv", "parquet"):
        with page.expect_download() as got:
            page.get_by_role("button", name=form.upper()).click()
        got.value.save_as(tmp_path / f"query.{form}")
    assert (tmp_path / "query.csv").read_text().splitlines()[0] == "session_name,points"
    assert parquet.read_table(tmp_path / "query.parquet").column("session_name").to_pylist() == ["Butterfly", "Storm"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_query_page(site: Running, open_page: Opener, scheme: str) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed (npm install --no-save --prefix .axe axe-core)")
    page = opened(site, open_page, SQL, color_scheme=scheme)
    page.wait_for_selector("sql-query[data-ready=true]")
    page.locator(".query-tables summary").first.click()
    page.locator("#sql").press("End")
    page.locator("#sql").press_sequentially(" desc, s")
    page.evaluate(AXE.read_text("utf-8"))
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    serious = [each for each in result["violations"] if each["impact"] in ("serious", "critical")]
    assert not [(each["id"], [node["html"][:160] for node in each["nodes"][:3]]) for each in serious]
    if folder := os.environ.get("PICTURES"):
        page.screenshot(path=f"{folder}/query-{scheme}.png")
