"""What the page asks of the API: filters in words, tracks as columns, facades, figures, one-file export."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import sessionstore
from sessionstore.model.row import FILTER_ALIASES, FILTER_FIELDS
from sessionstore.query import parse
from sessionstore.server.routes.filters import describe
from sessionstore.session import Session
from tests.server.conftest import Running

WEB = Path(__file__).parents[2] / "sessionstore" / "server" / "web"


def fly(site: Running, steps: int = 400) -> Session:
    session = site.store.create("</script><b>bold")
    with site.store.start(session.session_id) as run:
        for step in range(steps):
            t_s = step / 10
            run.motion.append("scout-1", t_s, [t_s, 0.0, 5.0], orientation_rad=[0, 0, 1.5], battery=0.9, mode="flying")
        run.stream("windows").append(
            {"window": "a/0/r0c0", "position": [1, 2, 3], "normal": [0, 1], "size": [1.4, 1.5], "dirt": 0.5}, 40.0
        )
        run.stream("windows").append({"window": "without a place"}, 40.0)
    return site.store.get(session.session_id)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("status=failed", "status is failed"),
        ("metadata.num_drones>5 and not x", "metadata.num_drones > 5 and not (“x” in id, name, tags or metadata)"),
        ("(a=1)".replace("a", "num_drones") + " or name~b", "num drones is 1 or session name contains b"),
        ("status=failed and (phase=SCAN or phase=PLAN)",
         "status is failed and (workflow state is one of SCAN, PLAN)"),
        ("has drones.scout", "has drones.scout"),
        ("", "every session"),
    ],
)  # fmt: skip
def test_a_filter_is_told_in_words(text: str, words: str) -> None:
    assert describe(parse(text, FILTER_FIELDS, FILTER_ALIASES)) == words


def test_tracks_are_columns_of_the_stretch_at_most_so_many(shared: Running) -> None:
    session = fly(shared)
    got = shared.client.get(f"/api/sessions/{session.session_id}/track?start=10&end=20&points=40").json()
    track = got["drones"]["scout-1"]
    assert 8 <= len(track["t"]) <= 40
    assert len(track["p"]) == 3 * len(track["t"]) == 3 * len(track["battery"])
    assert (track["t"][0], track["t"][-1]) == (10.0, 20.0)
    assert track["mode"] == [[0, "flying"]]
    assert got["max_time"] == pytest.approx(39.9)


def test_facades_pass_over_what_has_no_place(shared: Running) -> None:
    session = fly(shared)
    got = shared.client.get(f"/api/sessions/{session.session_id}/facades").json()
    assert got["windows"] == [["a/0/r0c0", 1, 2, 3, 0, 1, 1.4, 1.5, 0.5]]


def test_figures_and_comparison_answer_and_refuse(shared: Running) -> None:
    one, other = fly(shared), fly(shared, steps=300)
    got = shared.client.get(f"/api/sessions/{one.session_id}/figures?names=altitude&start=5&end=6").json()
    assert list(got) == ["altitude"]
    assert shared.client.get(f"/api/sessions/{one.session_id}/figures?names=colour").status_code == 400
    found = shared.client.get("/api/compare", params={"ids": f"{one.session_id},{other.session_id}"}).json()
    assert found["first_difference"]["field"] == "recording"
    assert shared.client.get("/api/compare", params={"ids": one.session_id}).status_code == 400
    assert shared.client.get("/api/compare", params={"ids": f"{one.session_id},nowhere"}).status_code == 404


def test_the_exported_page_asks_no_network_and_no_name_ends_its_data(shared: Running) -> None:
    session = fly(shared)
    session.update(notes="</script><script>alert(1)</script>")
    reply = shared.client.get(f"/api/sessions/{session.session_id}/export.html")
    assert reply.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in reply.headers["content-security-policy"]
    assert reply.text.count("<script") == reply.text.count("</script") == 3
    assert not re.findall(r"""(?:src|href)=["']https?:""", reply.text)


def test_modules_of_the_page_are_small_and_never_make_markup_of_text() -> None:
    forbidden: Any = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function")
    for path in WEB.rglob("*.js"):
        text = path.read_text("utf-8")
        assert len(text.splitlines()) < 400, path
        assert not forbidden.search(text), path


def test_no_file_of_the_page_holds_the_mark_of_a_merge_conflict() -> None:
    web = Path(sessionstore.__file__).parent / "server" / "web"
    texts = {path.name: path.read_text() for path in web.rglob("*") if path.is_file()}
    marks = ("<<<<<<< ", ">>>>>>> ", "\n=======\n")
    assert [name for name, text in texts.items() if any(mark in text for mark in marks)] == []
