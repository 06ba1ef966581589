"""Keys of a fast typist: they go to the field that was asked for, or do nothing, and an edit is sent once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.server.conftest import Running
from tests.web.conftest import session_page, until
from tests.web.test_list import rows

pytestmark = pytest.mark.web
Opener = Callable[..., Any]


class Slow:
    """Requests of one method for the record of a session, held until they are let go."""

    def __init__(self, page: Any, session_id: str, method: str) -> None:
        self.held: list[Any] = []
        self.holding = True
        self.method = method
        page.route(f"**/api/sessions/{session_id}", self._meet)

    def _meet(self, route: Any) -> None:
        if route.request.method == self.method:
            self.held.append(route)
        if route.request.method != self.method or not self.holding:
            route.continue_()

    def let_go(self) -> None:
        self.holding = False
        for route in self.held:
            route.continue_()


def listed(site: Running, open_page: Opener, name: str, method: str, **more: Any) -> tuple[Any, Slow]:
    page = open_page(f"{site.url}/sessions?q=name~{name.lower()}&columns=session,tags,notes", **more)
    rows(page).filter(has_text=name).wait_for()
    until(page, "document.querySelector('session-list').rows.current && document.querySelector('.actions').innerText")
    return page, Slow(page, site.store.get(name).session_id, method)


def waited(page: Any, slow: Slow, count: int = 1) -> None:
    for _ in range(500):
        if len(slow.held) >= count:
            return
        page.wait_for_timeout(20)
    pytest.fail("nothing was asked for")


def test_letters_typed_before_the_record_is_there_go_into_the_field(site: Running, open_page: Opener) -> None:
    site.store.get("Butterfly").update(tags=["old"])
    page, slow = listed(site, open_page, "Butterfly", "GET")
    page.keyboard.type("texan vjk")  # t opens the field; e, x, a, n, v, j and k are commands of the list
    waited(page, slow)
    assert page.locator("dialog[open]").count() == 0, "no command was given"
    assert page.locator(".actions").inner_text() == "1 session matches", "nothing was selected"
    page.keyboard.press("Enter")
    slow.let_go()
    rows(page).locator(".tags .tag", has_text="exan vjk").wait_for()
    assert site.store.get("Butterfly").record.tags == ["exan vjk"]


@pytest.mark.parametrize(("key", "kept"), [("End", "windy, late"), ("Home", ", latewindy"), (None, ", late")])
def test_what_is_typed_early_stands_where_the_cursor_was_put(
    site: Running, open_page: Opener, key: str | None, kept: str
) -> None:
    site.store.get("Butterfly").update(tags=["windy"])
    page, slow = listed(site, open_page, "Butterfly", "GET")
    page.keyboard.press("t")
    if key:
        page.keyboard.press(key)
    page.keyboard.type(", late")
    waited(page, slow)
    slow.let_go()
    until(page, "(text) => document.querySelector('.inline input').value === text", kept)
    page.keyboard.press("Escape")
    assert site.store.get("Butterfly").record.tags == ["windy"]


def test_a_record_that_cannot_be_read_leaves_a_field_that_takes_no_keys(site: Running, open_page: Opener) -> None:
    page, slow = listed(site, open_page, "Butterfly", "GET", expect=("ERR_FAILED",))
    page.keyboard.type("t")
    waited(page, slow)
    page.keyboard.type("e")
    slow.held[0].abort()
    page.get_by_text("Not editable").wait_for()
    page.keyboard.type("ex#")
    assert page.locator(".inline input").input_value() == ""
    assert page.locator("dialog[open]").count() == 0
    page.keyboard.press("Enter")
    page.locator(".inline").wait_for(state="detached")


@pytest.mark.parametrize("again", ["Enter", "Tab", "click"])
def test_an_edit_of_a_row_that_is_sent_twice_is_written_once(site: Running, open_page: Opener, again: str) -> None:
    page, slow = listed(site, open_page, "Storm", "PATCH")
    before = site.store.get("Storm").record.rev
    page.keyboard.press("n")
    field = page.get_by_label("Notes (Shift+Enter")
    field.fill(f"once, by {again}")
    page.keyboard.press("Enter")
    if again == "click":
        page.locator("h1").first.focus()  # the focus leaves the field
        rows(page).locator(".notes").dblclick(force=True)
    else:
        page.keyboard.press(again)
    waited(page, slow)
    slow.let_go()
    rows(page).locator(".notes", has_text=f"once, by {again}").wait_for()
    assert len(slow.held) == 1
    assert site.store.get("Storm").record.rev == before + 1


def test_keys_typed_before_the_form_of_a_session_is_filled_do_nothing(site: Running, open_page: Opener) -> None:
    page = session_page(site, open_page, "Butterfly", "?t=3")
    slow = Slow(page, site.store.get("Butterfly").session_id, "GET")
    page.get_by_role("button", name="Edit").dblclick()
    waited(page, slow)
    page.keyboard.type("b 59xl")
    page.keyboard.press("Enter")
    assert page.locator("dialog[open]").count() == 1, "one form, though the button was pressed twice"
    assert page.evaluate("document.querySelector('session-view').player.t") == 3
    slow.let_go()
    until(page, "() => document.querySelector('#edit-name').value === 'Butterfly'")
    before = site.store.get("Butterfly").record.rev
    page.keyboard.type("Butterfly II")  # the name is selected once it is there
    late = Slow(page, site.store.get("Butterfly").session_id, "PATCH")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    waited(page, late)
    late.let_go()
    page.get_by_text("Saved").wait_for()
    record = site.store.get("Butterfly").record
    assert (record.session_name, record.rev, len(late.held)) == ("Butterfly II", before + 1, 1)
