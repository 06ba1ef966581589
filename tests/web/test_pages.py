"""Compare, control, export and trash in a browser; hostile names; what axe finds; the pictures of the README."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import sessionstore
from sessionstore.model import liveness
from sessionstore.simulation.mission.faults import Fault
from sessionstore.simulation.running.scenarios import Group
from tests.conftest import DATA
from tests.server.conftest import Running
from tests.web.conftest import fly, open_store, until

pytestmark = pytest.mark.web
Opener = Callable[..., Any]
ROOT = Path(__file__).parents[2]
AXE = Path(os.environ.get("AXE_CORE", ROOT / ".axe" / "node_modules" / "axe-core" / "axe.min.js"))


#: Whether nothing is still to come: no player waits for data or is about to draw, and every chart has a figure.
SETTLED = """() => {
  const view = document.querySelector('session-view, session-compare, session-list, simulation-control, trash-list');
  if (!view || view.textContent.includes('Loading …') || view.textContent.includes('Comparing …')) return false;
  const players = view.players || (view.player ? [view.player] : []);
  if (players.some((each) => !each.ready || each.stale || each.tape.waiting.size)) return false;
  if (view.rows && !document.querySelector('.grid .line:not(.wait)')) return false;
  return !view.charts || [...view.charts.charts.values()].every((each) => each.figure);
}"""


def settled(page: Any) -> None:
    """Wait until a place shows all that it is going to show."""
    page.wait_for_load_state()
    until(page, SETTLED)
    page.evaluate("document.fonts.ready.then(() => true)")


def ready(page: Any) -> Any:
    page.wait_for_selector("[data-ready=true]")
    return page


PLAYERS = "document.querySelector('session-compare').players"


def compare_page(site: Running, open_page: Opener, *names: str, query: str = "") -> Any:
    ids = ",".join(site.store.get(name).session_id for name in names)
    return ready(open_page(f"{site.url}/compare?ids={ids}{query}", viewport={"width": 1280, "height": 1400}))


def test_six_sessions_are_compared_with_all_pictures_and_all_columns_in_sight(site: Running, open_page: Opener) -> None:
    ids = [site.store.get(name).session_id for name in ("Butterfly", "Storm")]
    for number in range(4):
        source = site.store.root.folder(ids[number % 2])
        shutil.copytree(source, source.with_name(f"20200101000{number}-copy"))
        ids.append(f"20200101000{number}-copy")
    page = open_page(f"{site.url}/compare?ids={','.join(ids)}")
    page.wait_for_selector("session-compare[data-ready=true]")
    timelines = page.locator(".together").bounding_box()
    pictures = [each.bounding_box() for each in page.locator(".grid-of .player").all()]
    assert len(pictures) == 6 and timelines["y"] + timelines["height"] <= 800
    assert all(box["y"] + box["height"] <= timelines["y"] and box["height"] >= 180 for box in pictures)
    assert page.locator(".together .timeline").count() == 6 and timelines["height"] < 130
    for name in ("What differs", "Metrics"):
        section = page.get_by_role("region", name=name).or_(page.locator(f"section[aria-label='{name}']")).first
        assert section.locator("thead th").count() == 7
        assert section.evaluate(
            "node => node.scrollWidth <= node.clientWidth && node.scrollHeight <= node.clientHeight"
        )
    rows = page.locator("section[aria-label=Metrics] tbody tr").all_inner_texts()
    same = [len({cell.split(" ")[0] for cell in row.split("\t")[1:]}) == 1 for row in rows]
    assert not same[0] and same[-1] and same == sorted(same), "what differs stands above what is the same"
    for each in ids[2:]:
        site.store.delete(each)


def test_hashes_stand_below_all_else_that_differs(site: Running, open_page: Opener) -> None:
    with open_store(site) as store:
        for number in range(3):
            with store.record(f"hash {number}", seed=number // 2, scenario_hash=f"{number:032x}") as recorder:
                for step in range(2):
                    recorder.motion.append("rover", t_s=step, position_m=(step, 0, 1))
    ids = [site.store.get(f"hash {number}").session_id for number in range(3)]
    page = ready(open_page(f"{site.url}/compare?ids={','.join(ids)}"))
    differ = page.locator("section[aria-label='What differs'] tbody th").all_inner_texts()
    assert differ == ["seed", "scenario_hash"], "a hash, of three values here, says only that something differs"
    for each in ids:
        site.store.delete(each)


def test_long_names_leave_the_tables_and_pictures_of_a_comparison_their_place(site: Running, open_page: Opener) -> None:
    long = "A flight over the northern buildings at wind force seven, third attempt with new propellers " * 2
    with open_store(site) as store:
        for name in (long, "רחפן סורק את הבניין הצפוני"):
            with store.record(name, seed=len(name)) as recorder:
                for step in range(3):
                    recorder.motion.append("rover", t_s=step, position_m=(step, 0, 1))
        ids = [each.session_id for each in store.find(sort="-created_at", limit=2)]
    page = ready(open_page(f"{site.url}/compare?ids={','.join(ids)}"))
    heads = [each.bounding_box() for each in page.locator(".grid-of > div > .row").all()]
    assert len(heads) == 2 and all(box["height"] <= 40 for box in heads), "one line each"
    names = page.locator(".two-tables .whose").all()
    assert names and all(each.bounding_box()["height"] <= 40 for each in names), "two lines at most"
    for each in ids:
        site.store.delete(each)


def test_a_printed_comparison_has_all_its_charts(site: Running, open_page: Opener) -> None:
    page = compare_page(site, open_page, "Butterfly", "Storm")
    page.set_viewport_size({"width": 760, "height": 600})
    page.locator(".chart-legend button").first.wait_for()
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    blank = """[...document.querySelectorAll('.charts .chart:not([hidden]) canvas')].filter((each) => {
      const empty = document.createElement('canvas');
      Object.assign(empty, { width: each.width, height: each.height });
      return empty.toDataURL() === each.toDataURL();
    }).length"""
    assert page.locator(".charts .chart:not([hidden]) canvas").count() >= 5
    assert page.evaluate(blank) == 0, "those that are out of sight too"


def test_compare_shows_what_differs_and_two_players_in_step(site: Running, open_page: Opener) -> None:
    page = compare_page(site, open_page, "Butterfly", "Storm")
    page.locator(".first").filter(has_text="First difference at").filter(has_text="scout-1, path").wait_for()
    rows = page.get_by_role("region", name="Differences by role").locator("tbody tr")
    assert "is noise" in rows.first.inner_text(), "another seed: by role and beyond noise, not GPS noise at 0 s"
    rows.last.get_by_role("button").click()
    until(page, f"{PLAYERS}.every((each) => each.t > 4)")
    page.locator("th", has_text="seed").wait_for()
    page.keyboard.press("5")
    moments = page.evaluate(f"{PLAYERS}.map((each) => each.t)")
    assert moments == pytest.approx([20, 20], abs=0.1)
    page.locator(".charts").scroll_into_view_if_needed()
    until(page, "document.querySelector('.chart .value').textContent.length > 0")


def test_an_added_fault_is_the_first_difference_also_of_another_fleet(site: Running, open_page: Opener) -> None:
    fault = Fault("link_loss", 2.0, "scout-1", 8.0)
    fleet = (Group("scout", 2), Group("climber", 1))
    more = fly(site.store.root.path, "Faulty", seed=3, duration_s=20.0, fleet=fleet, faults=(fault,))
    page = compare_page(site, open_page, "Butterfly", "Faulty")
    page.locator(".first").filter(
        has_text="First difference at 2 s: scout-1, fault (link_loss struck B only)"
    ).wait_for()
    told = page.get_by_role("region", name="Differences by role").inner_text()
    assert "number of scout" in told and "A 1, B 2" in told
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.goto("about:blank")
    site.store.delete(more)


def test_three_sessions_play_in_step_and_lie_over_one_another(site: Running, open_page: Opener) -> None:
    page = compare_page(site, open_page, "Butterfly", "Storm", "Butterfly")
    parted = page.locator(".first li")
    assert parted.count() == 2
    parted.nth(0).filter(has_text="B differs from A").wait_for()
    parted.nth(1).filter(has_text="C is the same as A").wait_for()
    assert page.locator("section[aria-label=Metrics] thead th").count() == 4
    assert page.locator(".grid-of .stage").count() == page.locator(".together .timeline").count() == 3
    assert page.locator(".transport").count() == 1
    until(page, "document.querySelector('session-compare').charts.charts.get('altitude').figure")
    names = page.evaluate(
        "document.querySelector('session-compare').charts.charts.get('altitude').figure.data.map((each) => each.name)"
    )
    assert {name[0] for name in names} == {"A", "B", "C"}
    page.keyboard.press("+")
    page.keyboard.press("Space")
    until(page, f"{PLAYERS}[0].t > 1")
    page.keyboard.press("Space")
    moments = page.evaluate(f"{PLAYERS}.map((each) => each.t)")
    assert len(set(moments)) == 1 and moments[0] > 1
    assert set(page.evaluate(f"{PLAYERS}.map((each) => each.rate)")) == {2}
    page.evaluate(f"{PLAYERS}[1].pick('scout-1')")
    assert set(page.evaluate(f"{PLAYERS}.map((each) => each.chosen)")) == {"scout-1"}


def test_sessions_are_added_to_a_comparison_and_taken_out(site: Running, open_page: Opener) -> None:
    page = compare_page(site, open_page, "Butterfly", "Storm", query="&t=12.50")
    third = site.store.get("Storm").session_id
    choice = page.get_by_label("Add a session")
    choice.fill("storm")
    until(page, "(id) => [...document.querySelectorAll('datalist option')].some((each) => each.value === id)", third)
    choice.fill(third)
    choice.press("Enter")
    page.locator(".grid-of .stage").nth(2).wait_for()
    ready(page)
    assert set(page.evaluate(f"{PLAYERS}.map((each) => each.t)")) == {12.5}
    page.get_by_role("button", name="Without").first.click()
    until(page, f"{PLAYERS}?.length === 2")
    assert page.url.count("Storm") == 2


def test_two_runs_of_one_seed_are_said_to_be_the_same(site: Running, open_page: Opener, flown: Path) -> None:
    name = site.store.get("Butterfly").session_id
    page = open_page(f"{site.url}/compare?ids={name},{name}")
    page.get_by_text("every recorded position, and every number of its own streams, is the same").wait_for()


def test_a_flight_is_started_commanded_by_a_click_paused_and_stopped(
    serve_with: Callable[..., Running], open_page: Opener
) -> None:
    site = serve_with()
    page = open_page(f"{site.url}/control")
    page.get_by_label("Name", exact=True).fill("by hand")
    page.get_by_label("Rate (0 = fastest)").fill("4")
    page.get_by_role("button", name="Start").click()
    page.get_by_role("button", name="Top", exact=True).click()
    player = "document.querySelector('simulation-control').player"
    until(page, f"{player}?.ready && {player}.state?.length > 1 && {player}.t > 4")
    page.evaluate(f"{player}.pick('scout-1')")
    box = page.locator(".stage").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.42)
    row = page.locator(".outcomes tr").filter(has_text="move_to scout-1")
    row.filter(has_text="done").or_(row.filter(has_text="failed")).wait_for(timeout=60_000)
    page.get_by_role("button", name="Pause", exact=True).click()
    page.locator(".control-state .status.paused").wait_for()
    page.get_by_role("button", name="Resume").click()
    page.locator(".control-state .status.running").wait_for()
    page.get_by_role("button", name="Stop and store").click()
    page.locator(".control-state .status.stopped").wait_for()
    session = site.store.get("by hand")
    assert session.record.status == "stopped"
    assert any(line.data["command"] == "move_to" for line in session.tape("commands").read())


def test_an_exported_page_works_offline_with_table_charts_and_player(
    site: Running, open_page: Opener, tmp_path: Path
) -> None:
    from sessionstore.cli import group

    name = site.store.get("Butterfly").session_id
    result = CliRunner().invoke(
        group, ["export", "--html", name, "--dir", str(site.store.root.path), "--to", str(tmp_path)]
    )
    assert result.exit_code == 0, result.output
    page = open_page(offline=True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if not request.url.startswith("data:") else None)
    page.goto((tmp_path / f"{name}.html").as_uri())
    ready(page)
    before = page.locator(".stage").screenshot()
    page.keyboard.press("5")
    page.get_by_text("00:20.0 / 00:40.0").wait_for()
    until(page, "document.querySelector('.chart .value').textContent.length > 0")
    assert page.locator(".stage").screenshot() != before
    assert page.locator(".drone-table tbody tr").count() == 2
    assert len(asked) == 1
    again = CliRunner().invoke(
        group, ["export", "--html", name, "--dir", str(site.store.root.path), "--to", str(tmp_path)]
    )
    assert again.exit_code != 0  # never overwritten


def test_a_part_of_the_page_that_does_not_come_is_told_with_a_retry(site: Running, open_page: Opener) -> None:
    page = open_page(expect=("Failed to load", "ERR_FAILED"))
    gone = {"yes": True}
    page.route("**/app/trash.js", lambda route: route.abort() if gone["yes"] else route.continue_())
    page.goto(f"{site.url}/trash")
    page.get_by_role("alert").filter(has_text="could not be loaded").wait_for()
    gone["yes"] = False
    page.get_by_role("button", name="Retry").click()
    page.locator("trash-list h1").wait_for(state="attached")


def test_the_trash_lists_and_restores(site: Running, open_page: Opener) -> None:
    with open_store(site) as other:
        session = other.create("thrown away")
        other.delete(session.session_id)
    page = open_page(f"{site.url}/trash")
    page.get_by_role("row").filter(has_text="thrown").get_by_role("button", name="Restore").click()
    page.get_by_text("was restored").wait_for()
    assert site.client.get(f"/api/sessions/{session.session_id}").status_code == 200


def test_hostile_names_notes_and_tags_are_shown_as_text(serve_with: Callable[..., Running], open_page: Opener) -> None:
    strings = DATA / "blns.json"
    if not strings.exists():
        pytest.skip("blns.json is not in the data folder")
    site = serve_with()
    naughty = [text for text in json.loads(strings.read_text("utf-8")) if text]
    storable = [text for text in naughty if "\x00" not in text]
    session = site.store.create("names", tags=storable[:40], notes="\n".join(storable))
    session.update(metadata={f"{number}": text for number, text in enumerate(storable)})
    made = 0
    for text in storable:
        reply = site.client.post("/api/sessions", json={"session_name": text})
        assert reply.status_code in (201, 400), (text, reply.text)
        made += reply.status_code == 201
    assert made > 100
    page = open_page(site.url, viewport={"width": 1280, "height": 2000})
    page.locator(".grid .line").first.wait_for()
    page.goto(f"{site.url}/session/{session.session_id}?tab=provenance")
    page.locator(".session-head .tag").nth(39).wait_for()
    page.locator("pre.json").wait_for()
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("dialog").wait_for()
    assert (
        page.evaluate("document.querySelectorAll('body script, iframe, object, img:not([src=\"/icon.svg\"])').length")
        == 0
    )
    page.goto(f"{site.url}/?q=%22%3Cscript%3Ealert(1)%3C%2Fscript%3E%22")
    page.locator(".understood").filter(has_text="<script>").wait_for()


def test_the_policy_allows_no_inline_script_and_no_eval(site: Running, open_page: Opener) -> None:
    policy = site.client.get("/").headers["content-security-policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";") if " " in part.strip())
    assert directives["default-src"] == "'self'"
    assert "unsafe" not in policy
    page = open_page(site.url, expect=("Content Security Policy", "Content-Security-Policy"))
    page.locator(".grid .line").first.wait_for()
    ran = page.evaluate(
        "() => { const made = document.createElement('script'); made.textContent = 'window.ran = 1';"
        " document.body.append(made); return window.ran; }"
    )
    assert ran is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(site: Running, open_page: Opener, scheme: str) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed (npm install --no-save --prefix .axe axe-core)")
    name = site.store.get("Butterfly").session_id
    other = site.store.get("Storm").session_id
    places = ("/sessions", f"/session/{name}?t=20", f"/session/{name}?tab=events", f"/compare?ids={name},{other}",
              "/control", "/trash")  # fmt: skip
    found = []
    for place in places:
        page = open_page(f"{site.url}{place}", color_scheme=scheme)
        settled(page)  # axe itself cannot wait
        page.evaluate(AXE.read_text("utf-8"))
        result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        for each in result["violations"]:
            if each["impact"] in ("serious", "critical"):
                found.append((place, each["id"], [node["html"][:160] for node in each["nodes"][:3]]))
    assert not found, "\n".join(map(str, found))


@pytest.fixture
def many_sided(tmp_path: Path) -> Path:
    """A store as a day leaves it: flights that ended well and badly, one that runs, one whose process is gone."""
    folder = tmp_path / "store"
    crew = (Group("scout", 2), Group("climber", 2), Group("overseer", 1))
    fly(folder, "Butterfly", seed=7, duration_s=300.0, buildings=4, fleet=crew)
    fly(folder, "Quadcopter", seed=9, duration_s=300.0, buildings=4, fleet=crew)
    fly(folder, "Harbour", seed=4, duration_s=90.0, buildings=6, fleet=(*crew, Group("tanker-mule", 1)))
    with sessionstore.open(folder) as store:
        for name, status, reason in (
            ("Storm", "failed", "drone lost: scout-1"),
            ("Depot", "stopped", "stopped by user"),
        ):
            session = store.create(name, duration_planned_s=300.0, tags=["windy"] if name == "Storm" else [])
            session.update(status="running", workflow_state="SCAN", duration_sim_s=41.5)
            session.update(status=status, end_reason=reason)
        gone = {**liveness.here(), "pid": 4_000_000, "pid_started": 1}
        lost = store.create("Crossing", duration_planned_s=300.0)
        lost.update(status="running", workflow_state="SCAN", duration_sim_s=96.2, owner=gone)
        running = store.create("Old-Town", duration_planned_s=300.0)
        progress = {"points": 84210, "distance_m": 3212.0, "windows_cleaned": 18}
        running.update(status="running", workflow_state="EXECUTE", duration_sim_s=212.0, progress=progress)
    return folder


def test_pictures_of_the_readme(
    many_sided: Path, serve_with: Callable[..., Running], open_page: Opener, tmp_path: Path
) -> None:
    """Written into fixtures/screenshots when SESSIONSTORE_SCREENSHOTS is set; each stays below 200 KB."""
    target = ROOT / "fixtures" / "screenshots" if os.environ.get("SESSIONSTORE_SCREENSHOTS") else tmp_path
    target.mkdir(parents=True, exist_ok=True)
    site = serve_with(many_sided)
    name = site.store.get("Butterfly").session_id
    other = site.store.get("Quadcopter").session_id
    views = {
        "sessions": ("/sessions", "light", ".grid .line .status.interrupted"),
        "session": (f"/session/{name}?t=212&follow=climber-1", "light", "session-view[data-ready=true]"),
        "session-dark": (f"/session/{name}?t=212&view=all", "dark", "session-view[data-ready=true]"),
        "compare": (f"/compare?ids={name},{other}&t=120", "light", ".compare .timeline[aria-valuetext*=EXECUTE]"),
    }
    for file, (place, scheme, wanted) in views.items():
        page = open_page(f"{site.url}{place}", color_scheme=scheme, viewport={"width": 1280, "height": 720})
        page.wait_for_selector(wanted)
        settled(page)
        page.screenshot(path=target / f"{file}.png")
        assert 5_000 < (target / f"{file}.png").stat().st_size < 200_000
