"""What can be done in the scene: first person, measuring, colours of trails, a ghost, planned ways, pictures, films."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sessionstore
from sessionstore.server.context import Settings
from tests.server.conftest import Running, running_server
from tests.web.conftest import PLAYER, until

pytestmark = pytest.mark.web
Opener = Callable[..., Any]
TOOLS = f"{PLAYER}.tools"

#: The colours of the trail of drone a: how many there are, or the first and the last.
PAINTS = f"""(what) => {{
  const {{ scene }} = {PLAYER}.stage;
  const {{ paints }} = (scene.lines.trails || scene.trails).get('a');
  const colours = paints.map((_, i) => paints.slice(i, i + 3)).filter((_, i) => i % 3 === 0);
  return what === 'ends' ? [colours[0], colours.at(-1)] : new Set(colours.map(String)).size;
}}"""


def place(name: str, t_s: float, shift: float = 0.0) -> tuple[float, float, float]:
    side = {"a": 1.0, "b": -1.0}[name]
    return (20 * math.cos(t_s / 6) * side + shift, 20 * math.sin(t_s / 6) * side, 10.0 + side * 3)


def record(folder: Path, name: str, shift: float = 0.0) -> None:
    with sessionstore.open(folder).record(name) as session:
        for step in range(401):
            t_s = step / 20
            for drone in "ab":
                where = place(drone, t_s, shift)
                session.motion.append(
                    drone, t_s=t_s, position_m=where, battery=1 - t_s / 20, mode="out" if t_s < 10 else "home"
                )
        session.event("goal", t_s=2.0, drone="a", target=[0.0, 20.0, 13.0])


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("ring") / "store"
    record(folder, "ring")
    record(folder, "shifted", shift=5.0)
    yield from running_server(folder, Settings())


def opened(site: Running, open_page: Opener, query: str = "") -> Any:
    page = open_page(f"{site.url}/session/{site.store.get('ring').session_id}{query}")
    page.wait_for_selector("session-view[data-ready=true]")
    until(page, f"{PLAYER}.stage.drawn.length > 0 && {PLAYER}.tape.windows.size > 0 && !{PLAYER}.stale")
    return page


def spot_of(page: Any, name: str) -> tuple[float, float]:
    """Return where a drone is on the screen, in CSS pixels."""
    found = page.evaluate(f"""(name) => {{
      const {{ stage }} = {PLAYER};
      const {{ view, part }} = stage.drawn[0];
      const [x, y] = stage.labels.spot(view, part, stage.shown.find((each) => each.id === name));
      const box = stage.node.getBoundingClientRect();
      return [box.left + x / stage.ratio, box.top + y / stage.ratio];
    }}""", name)  # fmt: skip
    return found[0], found[1]


def test_the_measured_distance_is_that_of_the_recorded_places(ring: Running, open_page: Opener) -> None:
    page = opened(ring, open_page, "?t=7.3&view=top")
    page.get_by_role("button", name="Scene").click()
    page.get_by_role("button", name="Measure").click()
    page.keyboard.press("Escape")
    for name in "ab":
        page.mouse.click(*spot_of(page, name))
    until(page, f"{TOOLS}.distance > 0")
    assert page.evaluate(f"{TOOLS}.distance") == pytest.approx(math.dist(place("a", 7.3), place("b", 7.3)), abs=0.02)
    page.evaluate(f"{PLAYER}.seek(12)")
    expected = math.dist(place("a", 12), place("b", 12))
    until(page, f"(want) => Math.abs({TOOLS}.distance - want) < 0.02", expected)
    assert page.locator(".measured").inner_text().startswith("a – b: ")


def test_first_person_looks_from_where_the_drone_was_recorded(ring: Running, open_page: Opener) -> None:
    page = opened(ring, open_page, "?t=5&follow=a")
    page.get_by_role("button", name="Scene").click()
    page.get_by_label("Camera").select_option("first")
    until(page, f"{PLAYER}.stage.cameras['3d'].first !== null && !{PLAYER}.stale")
    eye = page.evaluate(f"{PLAYER}.stage.cameras['3d'].eye()")
    assert eye == pytest.approx([*place("a", 5)[:2], place("a", 5)[2] + 0.25], abs=0.02)
    page.wait_for_url("**cam=first**")
    page.get_by_label("Camera").select_option("free")
    until(page, f"{PLAYER}.stage.cameras['3d'].first === null")


def test_a_ghost_of_another_session_flies_where_that_one_was_recorded(ring: Running, open_page: Opener) -> None:
    other = ring.store.get("shifted").session_id
    page = opened(ring, open_page, f"?t=8&ghost={other}")
    until(page, f"{TOOLS}.ghost?.tape.windows.size > 0")
    found = page.evaluate(f"{TOOLS}.ghosts(8)")
    assert {each["name"] for each in found} == {"a", "b"}
    for each in found:
        assert [each["x"], each["y"], each["z"]] == pytest.approx(place(each["name"], 8, shift=5.0), abs=0.02)
    assert page.evaluate(f"{PLAYER}.stage.shown.map((each) => each.id)") == ["a", "b"], (
        "a ghost is not one of the fleet"
    )


def test_the_session_of_a_ghost_is_found_by_a_part_of_its_name(ring: Running, open_page: Opener) -> None:
    page = opened(ring, open_page, "?t=8")
    page.get_by_role("button", name="Scene").click()
    field = page.get_by_label("Ghost of the session")
    field.fill("shif")
    wanted = ring.store.get("shifted").session_id
    until(page, "(id) => Boolean(document.querySelector(`.scene-menu datalist option[value='${id}']`))", wanted)
    field.fill(wanted)
    field.press("Enter")
    until(page, f"{TOOLS}.ghost?.tape.windows.size > 0")


def test_trails_are_coloured_by_what_was_recorded_on_the_way(ring: Running, open_page: Opener) -> None:
    page = opened(ring, open_page, "?t=19&trail=mode")
    assert page.evaluate(PAINTS, "count") == 2, "two modes"
    page.locator(".trail-legend", has_text="home").wait_for()
    page.get_by_role("button", name="Scene").click()
    page.get_by_label("Colour of trails").select_option("battery")
    page.locator(".trail-legend", has_text="Battery 100 %").wait_for()
    page.wait_for_url("**trail=battery**")
    until(page, f"!{PLAYER}.stale")
    first, last = page.evaluate(PAINTS, "ends")
    assert first[2] > first[0] and last[0] > last[2], "from blue (full) to orange (empty)"


def test_a_planned_way_leads_from_where_the_drone_was_told_to_its_target(ring: Running, open_page: Opener) -> None:
    page = opened(ring, open_page, "?t=6")
    page.get_by_role("button", name="Scene").click()
    page.get_by_role("button", name="Planned ways").click()
    until(page, f"{TOOLS}.plannedWays(6).length === 1")
    (way,) = page.evaluate(f"{TOOLS}.plannedWays(6)")
    assert way["drone"] == "a" and way["places"] == pytest.approx([*place("a", 2), 0, 20, 13], abs=0.05)
    assert page.evaluate(f"{TOOLS}.plannedWays(1)") == []


def test_a_picture_is_png_and_a_stretch_is_a_film(ring: Running, open_page: Opener) -> None:
    page = opened(ring, open_page, "?t=4")
    page.get_by_role("button", name="Scene").click()
    with page.expect_download() as picture:
        page.get_by_role("button", name="Save a picture").click()
    data = Path(picture.value.path()).read_bytes()
    assert data.startswith(b"\x89PNG") and len(data) > 5000, "not an empty picture"
    page.evaluate("document.querySelector('session-view').charts.zoom([5, 6])")
    page.get_by_role("button", name="Scene").click()
    with page.expect_download() as film:
        page.get_by_role("button", name="Record a film").click()
    data = Path(film.value.path()).read_bytes()
    assert data.startswith(bytes.fromhex("1a45dfa3")) and len(data) > 5000, "a WebM file begins with an EBML header"
    assert page.evaluate(f"{PLAYER}.t") == pytest.approx(6, abs=1), "the film ends with its stretch"


def test_a_stretch_is_a_gif_that_another_program_plays(ring: Running, open_page: Opener, tmp_path: Path) -> None:
    from PIL import Image

    page = opened(ring, open_page, "?t=4")
    page.evaluate("document.querySelector('session-view').charts.zoom([5, 7])")
    page.get_by_role("button", name="Scene").click()
    with page.expect_download() as film:
        page.get_by_role("button", name="Record a GIF").click()
    film.value.save_as(tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as picture:
        assert picture.n_frames > 1 and picture.width <= 640  # type: ignore[attr-defined]  # of animations
        lasts_ms, seen = 0, set()
        for number in range(picture.n_frames):  # type: ignore[attr-defined]
            picture.seek(number)
            lasts_ms += picture.info["duration"]
            seen.add(picture.convert("RGB").tobytes())
    assert len(seen) > 1 and 1000 <= lasts_ms <= 15_000, "it moves, for two seconds or what a busy machine takes"
    kept = page.evaluate("""async () => {
      const { Gif } = await import('/player/gif.js');
      const gif = new Gif(300, 200);
      for (const shift of [0, 7]) {
        const data = new Uint8ClampedArray(300 * 200 * 4).map((_, i) => ((i >> 2) * 31 + (i >> 9) * shift) % 7 * 32);
        gif.add({ data }, 10);
      }
      return [[...gif.bytes()], [...gif.frames].map(({ kept }) => [...kept])];
    }""")
    (tmp_path / "made.gif").write_bytes(bytes(kept[0]))
    with Image.open(tmp_path / "made.gif") as picture:
        for number, wanted in enumerate(kept[1]):
            picture.seek(number)
            data = picture.convert("RGB").tobytes()
            points = zip(data[::3], data[1::3], data[2::3], strict=True)
            got = [(r >> 3) << 10 | (g >> 3) << 5 | b >> 3 for r, g, b in points]
            assert got == wanted, "every point of each picture, and codes of all lengths"


def test_labels_do_not_lie_over_one_another(ring: Running, open_page: Opener) -> None:
    page = opened(ring, open_page, "?t=5&view=side")
    overlaps = page.evaluate(f"""() => {{
      const all = {PLAYER}.stage.labels.boxes;
      const over = (a, b) => a[0] < b[0] + b[2] && b[0] < a[0] + a[2] && a[1] < b[1] + b[3] && b[1] < a[1] + a[3];
      return [all.length, all.filter((a, i) => all.some((b, j) => j > i && over(a, b))).length];
    }}""")
    assert overlaps == [2, 0]


def test_a_line_shows_how_high_a_drone_is_above_the_ground_or_the_roof_below(ring: Running, open_page: Opener) -> None:
    page = opened(ring, open_page, "?t=7.3")
    assert page.evaluate(f"{PLAYER}.stage.flat || {PLAYER}.stage.scene.lines.upright.count === 4"), "two drones fly"
    heights = page.evaluate("""async () => {
      const { Ground } = await import('/player/ground.js');
      const house = { outline: [[0, 0], [10, 0], [10, 10], [0, 10]], ground: 0, roof: 8 };
      const ground = new Ground({ base: [0, 0, 1], buildings: [house] });
      return [[5, 5, 20], [5, 5, 4], [15, 5, 20], [5, 5, 0.5]].map((place) => ground.under(...place));
    }""")
    assert heights == [8, 1, 1, 0.5], "over the roof, below it, beside it, below the base"


def test_roofs_of_a_city_file_are_drawn_without_webgl_too(ring: Running, open_page: Opener) -> None:
    page = opened(ring, open_page)
    normals = page.evaluate("""async () => {
      const { FlatScene } = await import('/player/flat.js');
      const corners = [[0, 0, 0], [8, 0, 0], [8, 6, 0], [0, 6, 0], [0, 3, 5], [8, 3, 5]];
      const [a, b, c, d, e, f] = corners;
      const faces = [[a, b, f, e], [d, e, f, c], [a, e, d], [b, c, f]];
      const scene = new FlatScene(document.createElement('canvas'));
      const windows = { dirt: [], places: [], normals: [], sizes: [] };
      const house = { outline: [a, b, c, d].map(([x, y]) => [x, y]), ground: 0, roof: 5, visible: true, faces };
      scene.build({ base: [0, 0, 0], buildings: [house], windows }, { size: 20, reach: 20 });
      return scene.faces.map(({ normal }) => normal.map((each) => Math.round(each * 100) / 100));
    }""")
    assert len(normals) == 4
    assert normals[0][1] < 0 < normals[0][2] and normals[1][1] > 0 and normals[1][2] > 0, "both halves look up and out"
    assert normals[2][0] == -1 and normals[3][0] == 1
