"""Rows of the list that do more than open: tags and notes in place, metrics that sort, sparklines, one file of many."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from sessionstore.formats import registry
from tests.server.conftest import Running
from tests.web.conftest import open_store, until
from tests.web.test_list import rows

pytestmark = pytest.mark.web
Opener = Callable[..., Any]


def opened(site: Running, open_page: Opener, query: str, **more: Any) -> Any:
    page = open_page(f"{site.url}/sessions?{query}", **more)
    page.wait_for_selector("session-list[data-ready=true]")
    return page


def test_tags_and_notes_of_a_row_are_edited_in_place(site: Running, open_page: Opener) -> None:
    page = opened(site, open_page, "q=name~butterfly&columns=session,tags,notes")
    rows(page).filter(has_text="Butterfly").wait_for()
    page.keyboard.press("t")
    field = page.get_by_label("Tags, apart by commas")
    field.fill("windy, second try")
    box = field.bounding_box()
    assert box["width"] > 300, "the field is as wide as its text needs"
    name = rows(page).locator(".name a").bounding_box()
    assert box["x"] >= name["x"] + name["width"], "which session it is stays in sight"
    page.keyboard.press("Enter")
    rows(page).locator(".tags .tag", has_text="second try").wait_for()
    rows(page).locator(".notes").dblclick()
    page.get_by_label("Notes (Shift+Enter").fill("gusts at the north wall")
    page.keyboard.press("Enter")
    rows(page).locator(".notes", has_text="gusts at the north wall").wait_for()
    record = site.store.get("Butterfly").record
    assert (record.tags, record.notes) == (["windy", "second try"], "gusts at the north wall")
    page.get_by_role("button", name="Undo").last.click()
    until(page, "() => !document.querySelector('.grid .line .notes').textContent.includes('gusts')")
    assert site.store.get("Butterfly").record.notes == ""
    assert "/sessions" in page.url, "no click opened the session"


def test_an_edit_in_the_row_does_not_overwrite_a_change_of_somebody_else(site: Running, open_page: Opener) -> None:
    page = opened(site, open_page, "q=name~storm&columns=session,tags", expect=("412",))
    page.keyboard.press("t")
    field = page.get_by_label("Tags, apart by commas")
    field.wait_for()
    with open_store(site) as store:
        store.get("Storm").update(notes="from elsewhere", tags=["theirs"])
    field.fill("mine")
    page.keyboard.press("Enter")
    page.get_by_text("changed meanwhile").wait_for()
    assert site.store.get("Storm").record.tags == ["theirs"]


def test_the_list_is_sorted_by_a_metric_and_shows_sparklines(site: Running, open_page: Opener) -> None:
    columns = "session,metrics.totals.distance_m,spark.motion_history.battery,spark.nothing.here"
    page = opened(site, open_page, f"columns={columns}")
    page.get_by_role("button", name="distance_m").click()
    page.wait_for_url("**sort=-metrics.totals.distance_m**")
    metrics = {name: site.store.get(name).record.performance_metrics for name in ("Butterfly", "Storm")}
    far = sorted(metrics, key=lambda name: -metrics[name]["totals"]["distance_m"])
    until(page, "(name) => document.querySelector('#row-0')?.textContent.includes(name)", far[0])
    page.get_by_role("button", name="distance_m").click()
    until(page, "(name) => document.querySelector('#row-0')?.textContent.includes(name)", far[1])
    until(page, "() => document.querySelectorAll('#row-0 svg.spark polyline').length === 2")
    label = page.locator("#row-0 svg.spark").get_attribute("aria-label")
    last = site.client.get(f"/api/sessions/{site.store.get(far[1]).session_id}/moment?t=40").json()["drones"]
    assert f"{last['scout-1']['battery']:.3f}".rstrip("0") in label
    assert page.locator("#row-0 .spark-cell").nth(1).inner_text() == "–"
    page.keyboard.press("a")
    page.get_by_text("2 selected").wait_for()


def test_sessions_are_grouped_by_the_seed_that_stands_in_their_provenance(site: Running, open_page: Opener) -> None:
    page = opened(site, open_page, "group=seed")
    page.locator(".groups tbody tr").nth(1).wait_for()
    assert page.locator(".groups tbody th").all_inner_texts() == ["1", "2"]
    page.locator(".groups tbody a", has_text="2").click()
    rows(page).filter(has_text="Storm").wait_for()
    assert rows(page).count() == 1


def test_many_sessions_are_exported_as_one_file(site: Running, open_page: Opener) -> None:
    page = opened(site, open_page, "columns=session")
    rows(page).nth(1).wait_for()
    page.keyboard.press("a")
    page.get_by_text("2 selected").wait_for()
    page.keyboard.press("e")
    dialog = page.get_by_role("dialog", name="Export")
    with page.expect_download() as got:
        dialog.get_by_role("button", name="Export").click()
    names = zipfile.ZipFile(got.value.path()).namelist()
    assert got.value.suggested_filename == "2-sessions.zip"
    ids = [site.store.get(name).session_id for name in ("Butterfly", "Storm")]
    assert all(any(each.endswith(f"{one}/session.json") for each in names) for one in ids)


def test_many_sessions_come_as_a_file_each_of_another_programs_format(site: Running) -> None:
    ids = [site.store.get(name).session_id for name in ("Butterfly", "Storm")]
    kind = next(each for each in ("csv", "geojson", "kml", "gpx") if each in {one.name for one in registry.formats()})
    reply = site.client.post("/api/sessions/export", json={"ids": ids, "format": kind})
    assert reply.status_code == 200, reply.text
    archive = zipfile.ZipFile(io.BytesIO(reply.content))
    assert len(archive.namelist()) == 2 and all(archive.read(each) for each in archive.namelist())
    assert site.client.post("/api/sessions/export", json={"ids": ids, "format": "nonsense"}).status_code == 400
    assert site.client.post("/api/sessions/export", json={"ids": [*ids, "nowhere"]}).status_code == 404


def test_columns_are_put_in_order_by_dragging_a_head_and_by_keyboard(site: Running, open_page: Opener) -> None:
    page = opened(site, open_page, "columns=status,session,points,drones")
    heads = page.locator(".grid .head > div[data-column]")
    order = "[...document.querySelectorAll('.grid .head > div[data-column]')].map((each) => each.dataset.column).join()"
    heads.nth(3).drag_to(heads.nth(1), target_position={"x": 4, "y": 8})
    until(page, f"{order} === 'status,drones,session,points'")
    page.get_by_role("columnheader", name="Points").get_by_role("button").focus()
    page.keyboard.press("Shift+ArrowLeft")
    until(page, f"{order} === 'status,drones,points,session'")
    page.keyboard.press("Shift+ArrowLeft")  # the focus stays on the head that was moved
    until(page, f"{order} === 'status,points,drones,session'")
    assert "columns=status%2Cpoints%2Cdrones%2Csession" in page.url, "the address holds the order"
    page.reload()
    until(page, f"{order} === 'status,points,drones,session'")


@pytest.mark.parametrize("width", [1280, 390])
def test_groups_break_no_word_and_fit_the_window(site: Running, open_page: Opener, width: int) -> None:
    page = open_page(f"{site.url}/sessions?group=status", viewport={"width": width, "height": 800})
    page.locator(".groups tbody tr").first.wait_for()
    value = page.locator(".groups tbody th a").first.evaluate("(each) => each.getClientRects().length")
    assert value == 1, "completed stands in one line"
    if width > 1000:
        grid = page.locator(".grid-groups")
        assert grid.evaluate("(each) => each.scrollWidth <= each.clientWidth"), "all figures are in sight"


def test_tags_with_blanks_keys_with_dots_and_reasons_are_shown_and_edited_whole(
    site: Running, open_page: Opener
) -> None:
    with open_store(site) as store:
        store.get("Butterfly").update(tags=["to check"], metadata={"a.b": 7})
        broken = store.create("half a file")
        text = (broken.path / "session.json").read_text()
        (broken.path / "session.json").write_text(text[:-20])
    page = opened(site, open_page, "columns=session,metadata.a.b,tags,phase")
    line = rows(page).filter(has_text="Butterfly")
    line.locator(".text", has_text="7").wait_for()
    reason = rows(page).filter(has_text="half a file").locator(".warn")
    reason.wait_for()
    assert reason.inner_text().startswith("session.json:"), "not the name of the folder, which the row says already"
    line.locator("input[type=checkbox]").check()
    page.get_by_role("button", name="Tag", exact=True).click()
    page.get_by_label("Tags to add").fill("second look, -to check")
    page.get_by_role("button", name="Change").click()
    page.get_by_text("1 changed").wait_for()
    assert site.store.get("Butterfly").record.tags == ["second look"]
