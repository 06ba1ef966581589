"""Artifacts on the page: pictures and videos in place, checksums, all of them to download."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sessionstore
from sessionstore.server.context import Settings
from tests.server.conftest import Running, running_server
from tests.web.conftest import until
from tests.web.test_stranger import PNG

pytestmark = pytest.mark.web
Opener = Callable[..., Any]

#: A second of a canvas as the browser records it, in base64.
RECORD_VIDEO = """async () => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 48 });
  const context = canvas.getContext('2d');
  const recorder = new MediaRecorder(canvas.captureStream(25), { mimeType: 'video/webm' });
  const parts = [];
  recorder.ondataavailable = (event) => parts.push(event.data);
  const ended = new Promise((resolve) => { recorder.onstop = resolve; });
  recorder.start();
  for (let step = 0; step < 20; step += 1) {
    context.fillStyle = `rgb(${step * 12}, 80, 80)`;
    context.fillRect(0, 0, 64, 48);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  recorder.stop();
  await ended;
  const data = new Uint8Array(await new Blob(parts).arrayBuffer());
  return btoa(String.fromCharCode(...data));
}"""


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("gallery") / "store"
    with sessionstore.open(folder).record("Gallery") as session:
        session.motion.append("scout-1", t_s=0, position_m=(0, 0, 5))
        session.motion.append("scout-1", t_s=1, position_m=(0, 0, 5))
    session.artifacts.put("dot.png", PNG)
    session.artifacts.put("report.txt", "all windows are clean")
    yield from running_server(folder, Settings())


def opened(site: Running, open_page: Opener) -> Any:
    page = open_page(f"{site.url}/session/{site.store.get('Gallery').session_id}?tab=artifacts")
    page.wait_for_selector("session-view[data-ready=true]")
    return page


def test_a_picture_and_a_video_are_shown_in_place_and_the_video_can_be_sought(
    gallery: Running, open_page: Opener
) -> None:
    blank = open_page()
    video = base64.b64decode(blank.evaluate(RECORD_VIDEO))
    gallery.store["Gallery"].artifacts.put("clip.webm", video)
    page = opened(gallery, open_page)
    until(page, "() => document.querySelector('.artifacts img')?.naturalWidth === 1")
    until(page, "() => document.querySelector('.artifacts video')?.videoWidth === 64")
    page.evaluate("() => { document.querySelector('.artifacts video').currentTime = 0.2; }")
    until(page, "() => !document.querySelector('.artifacts video').seeking")
    assert page.evaluate("() => document.querySelector('.artifacts video').error") is None
    assert page.locator(".artifacts li").count() == 3


def test_an_artifact_shows_its_checksum_and_is_downloaded_as_it_is(gallery: Running, open_page: Opener) -> None:
    page = opened(gallery, open_page)
    line = page.locator(".artifacts li", has_text="report.txt")
    digest = hashlib.sha256(b"all windows are clean").hexdigest()
    line.get_by_title(f"SHA-256 {digest}").wait_for()
    with page.expect_download() as download:
        line.get_by_role("link").click()
    assert Path(download.value.path()).read_bytes() == b"all windows are clean"


def test_an_artifact_that_was_changed_or_removed_by_hand_says_so(gallery: Running, open_page: Opener) -> None:
    session = gallery.store["Gallery"]
    session.artifacts.put("edited.txt", "as it was")
    session.artifacts.put("gone.txt", "x")
    (session.folder / "artifacts" / "edited.txt").write_text("longer than it was")
    (session.folder / "artifacts" / "gone.txt").unlink()
    page = opened(gallery, open_page)
    page.locator(".artifacts li", has_text="edited.txt").get_by_text("changed: it had 9 B").wait_for()
    page.locator(".artifacts li", has_text="gone.txt").get_by_text("its file is gone").wait_for()
    session.artifacts.delete("edited.txt")
    session.artifacts.delete("gone.txt")
    until(
        page, "() => !document.querySelector('.artifacts').textContent.includes('edited.txt')"
    )  # an open page follows
