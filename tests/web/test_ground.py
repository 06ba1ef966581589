"""Ground and shadows in the picture, with a depth buffer and without, for a recording of another program."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import sessionstore
from sessionstore.boxes.session_buildings_box import SessionBuildingsBox
from sessionstore.boxes.session_db_box import SessionDBBox
from sessionstore.server.context import Settings
from tests.server.conftest import Running, running_server
from tests.web.conftest import PLAYER, session_page, until

pytestmark = pytest.mark.web
Opener = Callable[..., Any]
#: A lake in a meadow, and a hill beside the house as heights on a grid.
GROUND: list[dict[str, Any]] = [
    {"use": "plants", "faces": [[-40, -40, 0, 40, -40, 0, 40, 40, 0, -40, 40, 0]]},
    {"use": "water", "faces": [[-36, -36, 0, -16, -36, 0, -16, -16, 0, -36, -16, 0]]},
    {"use": "terrain", "origin": [50, 0], "step_m": 10, "heights": [[0, 10, None], [0, 10, 20]]},
    {"use": "road", "faces": [[0, 0, "x"], "damaged"]},
]
HOUSE = {"name": "house", "position": [20, 0, 0], "size": [10, 10, 16]}
#: A shadow of it: 16 m of height reach 7 m to the west and 10 m to the north.
NO_WEBGL = """
const plain = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
  return kind === 'webgl2' ? null : plain.call(this, kind, ...more);
};
"""
PLACES = {"water": (-26, -26), "meadow": (3, -23), "shadow": (13, 10), "hill": (55, 5)}


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("country") / "store"
    with sessionstore.open(folder) as store:
        with store.record("country") as session:
            for step in range(20):
                session.motion.append("d", t_s=step / 2, position_m=(30.0 if step % 2 else -30.0, -30.0, 12.0))
        SessionBuildingsBox(SessionDBBox(store=store)).save_buildings(session.session_id, [HOUSE], ground=GROUND)
    yield from running_server(folder, Settings())


def colours(page: Any) -> dict[str, tuple[int, ...]]:
    """The colours of places of the view from above, as the screen shows them."""
    from PIL import Image

    spots = page.evaluate(
        f"""(places) => {{
          const {{ stage }} = {PLAYER};
          const {{ view, part }} = stage.drawn[0];
          const box = stage.node.getBoundingClientRect();
          return Object.fromEntries(Object.entries(places).map(([name, [x, y]]) => {{
            const [px, py] = stage.labels.spot(view, part, {{ x, y, z: 0 }});
            return [name, [box.left + px / stage.ratio, box.top + py / stage.ratio]];
          }}));
        }}""",
        {name: list(place) for name, place in PLACES.items()},
    )
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    return {name: picture.getpixel((round(x), round(y))) for name, (x, y) in spots.items()}


def token(page: Any, name: str) -> tuple[int, ...]:
    found = page.evaluate(
        "async (name) => (await import('/app/dom.js')).colour(name).map((each) => Math.round(each * 255))", name
    )
    return tuple(found)


def near(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return all(abs(x - y) <= 8 for x, y in zip(a, b, strict=True))


def over(page: Any, size: int = 90) -> None:
    """Look from above at the whole ground, without trails."""
    page.evaluate(
        f"""(size) => {{
          const player = {PLAYER};
          player.trailLength = '0';
          Object.assign(player.stage.cameras.top, {{ target: [10, 0, 0], distance: size }});
          player.stage.touched = true;
          player.stale = true;
        }}""",
        size,
    )
    until(page, f"!{PLAYER}.stale")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("flat", [False, True])
def test_ground_has_the_colour_of_its_use_and_houses_a_shadow(
    country: Running, open_page: Opener, scheme: str, flat: bool
) -> None:
    page = open_page("about:blank", color_scheme=scheme)
    if flat:
        page.add_init_script(NO_WEBGL)
    page.goto(f"{country.url}/session/{country.store.get('country').session_id}?view=top")
    page.wait_for_selector("session-view[data-ready=true]")
    over(page)
    drawn_flat = page.evaluate(f"Boolean({PLAYER}.stage.flat)")
    assert drawn_flat or not flat
    found = colours(page)
    lit = 1 if drawn_flat else 0.66 + 0.34 * 0.8 / math.hypot(0.35, 0.5, 0.8)
    for place, use in (("water", "use-water"), ("meadow", "use-plants")):
        assert near(found[place], tuple(round(each * lit) for each in token(page, use))), place
    assert sum(found["shadow"]) < sum(found["meadow"]) - 12, "half of the light is taken"
    assert not near(found["hill"], token(page, "land")) and found["hill"] != found["meadow"]
    page.evaluate(f"{PLAYER}.tools.shadows.click()")
    until(page, f"!{PLAYER}.stale")
    assert near(colours(page)["shadow"], found["meadow"])


def test_the_height_line_ends_on_the_terrain_and_old_scenes_have_no_ground(country: Running, open_page: Opener) -> None:
    page = session_page(country, open_page, "country")
    assert page.evaluate(f"{PLAYER}.world.ground.map((each) => each.use)") == ["terrain", "plants", "water"]
    under = page.evaluate(f"[[55, 5], [0, -20], [200, 200]].map(([x, y]) => {PLAYER}.stage.ground.under(x, y, 30))")
    assert [round(each, 1) for each in under] == [5.0, 0.0, 0.0]
    assert page.evaluate("async () => (await import('/player/ground.js')).grounds(undefined)") == []


def test_neighbours_that_were_simplified_apart_show_no_line_of_background(site: Running, open_page: Opener) -> None:
    page = open_page(f"{site.url}/sessions")
    rows = [
        {"use": "road", "faces": [[0, 0, 1, 10, 0, 1, 10, 10, 1, 0, 10, 1]]},
        {"use": "water", "faces": [[10.4, 0, 1, 10.4, 10, 1, 20, 10, 1, 20, 0, 1]]},  # turned the other way
    ]
    found = page.evaluate("async (rows) => (await import('/player/ground.js')).grounds(rows)", rows)
    east = {each["use"]: [corner[0] for corner in each["corners"]] for each in found}
    assert max(east["road"]) > min(east["water"]), "they overlap"
    assert min(east["road"]) > -0.5 and max(east["water"]) < 20.5, "by less than half a metre"
    assert {corner[2] for each in found for corner in each["corners"]} == {1}
