"""A bundle that is dropped on the list: what it holds, what would happen, a button, and an Undo."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sessionstore
from tests.exchange.test_merge import flown as recorded
from tests.server.conftest import Running

pytestmark = pytest.mark.web
_DROP = """([name, data]) => {
  const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name));
  const list = document.querySelector('session-list');
  for (const kind of ['dragover', 'drop']) {
    list.dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
}"""


def drop(page: Any, path: Path, data: bytes | None = None) -> None:
    page.evaluate(_DROP, [path.name, base64.b64encode(data or path.read_bytes()).decode()])


def test_a_dropped_bundle_is_shown_merged_and_taken_back(
    site: Running, open_page: Callable[..., Any], tmp_path: Path
) -> None:
    with sessionstore.open(tmp_path / "there") as there:
        recorded(there, "Dragonfly")
        there.pack(tmp_path / "fleet.zip")
    page = open_page(site.url, expect=("409",))
    page.locator(".grid .line").first.wait_for()
    drop(page, tmp_path / "fleet.zip")
    dialog = page.get_by_role("dialog", name="Bundle fleet.zip")
    dialog.get_by_text("It holds 1 session; every checksum is right.").wait_for()
    assert "Dragonfly" in dialog.inner_text() and "new" in dialog.inner_text()
    dialog.get_by_role("button", name="Merge 1 session").click()
    page.get_by_text("fleet.zip: 1 copied").wait_for()
    page.locator(".grid .line").filter(has_text="Dragonfly").wait_for()
    page.get_by_role("button", name="Undo").click()
    page.locator(".grid .line").filter(has_text="Dragonfly").wait_for(state="detached")
    data = (tmp_path / "fleet.zip").read_bytes().replace(b"scout-1", b"scout-2", 1)
    drop(page, tmp_path / "fleet.zip", data)
    page.get_by_role("alert").filter(has_text="Nothing was taken").wait_for()
    page.get_by_role("button", name="Close").click()
    assert not list(site.store.root.staging.glob("sent-*"))
