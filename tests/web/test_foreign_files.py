"""A flight log dropped on the list becomes a session that replays; the export menu offers what is installed."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DATA
from tests.server.conftest import Running
from tests.web.test_bundle import drop

pytestmark = pytest.mark.web
LOG = DATA / "px4_flight_small.ulg"
_DROP_TWO = """(files) => {
  const transfer = new DataTransfer();
  for (const [name, data] of files) {
    transfer.items.add(new File([Uint8Array.from(atob(data), (each) => each.charCodeAt(0))], name));
  }
  const event = new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true });
  document.querySelector('session-list').dispatchEvent(event);
}"""


def picture(page: Any, name: str) -> None:
    """Keep a screenshot where a person wants to look at it."""
    if folder := os.environ.get("SESSIONSTORE_TEST_PICTURES"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def test_a_dropped_flight_log_is_imported_with_a_report_a_link_and_an_undo(
    site: Running, open_page: Callable[..., Any]
) -> None:
    pytest.importorskip("pyulog")
    page = open_page(site.url, expect=("400",))
    page.locator(".grid .line").first.wait_for()
    drop(page, LOG)
    dialog = page.get_by_role("dialog", name=f"Import {LOG.name}")
    dialog.get_by_role("row", name="vehicle_local_position 636 636").wait_for()
    picture(page, "import_report")
    page.locator(".grid .line").filter(has_text="px4_flight_small").wait_for()
    dialog.get_by_role("button", name="Undo").click()
    dialog.get_by_text("The import was taken back").wait_for()
    page.locator(".grid .line").filter(has_text="px4_flight_small").wait_for(state="detached")
    dialog.get_by_role("button", name="Close").click()
    page.evaluate(
        _DROP_TWO,
        [["a.ulg", base64.b64encode(LOG.read_bytes()[:-10]).decode()], ["b.txt", base64.b64encode(b"\x07").decode()]],
    )
    dialog = page.get_by_role("dialog", name="Import 2 files")
    dialog.get_by_text("partial: whole messages end at byte").wait_for()
    dialog.get_by_role("alert").filter(has_text="Nothing was imported: b.txt has no known format").wait_for()
    picture(page, "import_two")
    dialog.get_by_role("link").click()
    page.get_by_role("heading", name="a ").first.wait_for()
    assert "/session/" in page.url and not list(site.store.root.staging.glob("sent-*"))


def test_the_export_menu_offers_what_is_installed_and_names_the_extra_of_the_others(
    site: Running, open_page: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sessionstore.formats import registry

    missing = registry.Listed.missing
    monkeypatch.setattr(registry.Listed, "missing", lambda self: ["rerun"] if self.name == "rerun" else missing(self))
    session = site.store.get("Butterfly")
    page = open_page(f"{site.url}/session/{session.session_id}", expect=("400",))
    page.get_by_role("button", name="Export ▾").click()
    menu = page.locator(".menu .others")
    menu.get_by_text("pip install 'sessionstore[rerun]'").wait_for()
    picture(page, "export_menu")
    menu.get_by_role("button", name="Tracks as KML 2.2").click()
    page.get_by_text("has no GPS origin, which geographic formats need").wait_for()
    page.get_by_role("button", name="Export ▾").click()
    session.update(gps={"lat": 52.0, "lon": 4.3, "alt": 1.0}, notes="a menu that is open stays open")
    page.locator(".facts").get_by_text("a menu that is open stays open").wait_for()
    with page.expect_download() as download:
        menu.get_by_role("button", name="Tracks as KML 2.2").click()
    assert download.value.suggested_filename == f"{session.session_id}.kml"
    assert "<gx:Track>" in Path(download.value.path()).read_text()


def test_an_imported_flight_shows_its_attitude_and_is_set_beside_its_model_by_take_off(
    site: Running, open_page: Callable[..., Any], tmp_path: Path
) -> None:
    pytest.importorskip("pymavlink")
    from tests.formats.autopilot_logs import write_bin
    from tests.playback.test_alignment import simulated

    write_bin(tmp_path / "real.bin")
    real = site.store.import_file(tmp_path / "real.bin").session_id
    model = simulated(site.store, 7.0).session_id
    page = open_page(f"{site.url}/session/{real}?t=6")
    page.wait_for_selector("session-view[data-ready=true]")
    page.wait_for_function("document.querySelector('session-view').player.tape.at('ardupilot-1', 6)?.roll > 0.1")
    at = page.evaluate("document.querySelector('session-view').player.tape.at('ardupilot-1', 6)")
    assert (at["roll"], at["pitch"]) == pytest.approx((0.1745, 0.0873), abs=1e-3)
    assert (at["mode"], at["battery"]) == ("auto", 0.86)
    picture(page, "attitude")
    page.goto(f"{site.url}/compare?ids={real},{model}&align=takeoff&t=6")
    page.wait_for_selector("session-compare[data-ready=true]")
    page.get_by_text("B at 7.30 s is A at 1.00 s: ardupilot-1 and model-1 are").wait_for()
    moments = page.evaluate("document.querySelector('session-compare').players.map((each) => each.t)")
    assert moments == pytest.approx([6.0, 12.3])
    page.locator(".charts").get_by_text("B model-1").first.wait_for()  # charts of both, on the time of the first
    page.get_by_label("Aligned").select_option("start")
    page.wait_for_function("!location.search.includes('align')")
    page.wait_for_selector("session-compare[data-ready=true]")
    assert page.evaluate("document.querySelector('session-compare').shifts") == [0, 0]
