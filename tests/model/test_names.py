"""Names and ids, with inputs aimed at the limits."""

from __future__ import annotations

import json
import pickle
import re
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sessionstore.errors import Corrupt, InvalidName
from sessionstore.model import names

RESERVED = {"CON", "PRN", "AUX", "NUL", "CONIN", "CONOUT"} | {f"{n}{d}" for n in ("COM", "LPT") for d in range(10)}
ODD = [
    "CON",
    "nul.txt",
    "COM¹",
    "..",
    ".",
    "a.",
    "a ",
    "é",
    "e\u0301",
    "ß",
    "ẞ",
    "ı",
    "İ",
    "ﬁ",
    "½",
    "\u200d",
    "\u202e",
]
ODD += [
    "\u3164",
    "\ufe0f",
    "👩\u200d👩\u200d👧",
    "\ud800",
    "\0",
    "\x7f",
    "\u2028",
    "𝟘",
    "Ⅷ",
    "ﷺ",
    "\u1160",
    "가",
    "각\u11a8",
]

tricky = st.one_of(
    st.text(),
    st.text(alphabet=st.sampled_from(list('aA0-_. \t/\\:*?"<>|\u0301\u0338\u200d\ufe0f\u3164ßıİﬁ½é'))),
    st.lists(st.sampled_from(ODD), max_size=6).map("".join),
    # Lengths at the limit: a planted off-by-one in the cut survives short texts.
    st.builds(
        lambda unit, count, tail: unit * count + tail,
        st.sampled_from(["x", "é", "e\u0301", "ß", "汉", "가", "𝟘", "x-", "-", "x\u0301\u0327"]),
        st.integers(20, 200),
        st.sampled_from(["", "-", "\u0301", " y", "-y"]),
    ),
)


@given(tricky)
@example("CON")
@example("COM¹")
@example("e\u200d\u0301")
@example("x" * 179 + "-y")
def test_sanitising_twice_changes_nothing(name: str) -> None:
    once = names.sanitise(name)
    assert names.sanitise(once) == once


@given(tricky)
@example("x" * 300)
@example("\u0301x")
@example("a -\u0301")
@example("ßı" * 120)
@example("가" * 100)
def test_the_result_is_a_valid_file_name_everywhere(name: str) -> None:
    result = names.sanitise(name)
    assert result and result.strip("-. ") == result
    assert not re.search(r'[\x00-\x1f<>:"/\\|?*\x7f]', result)
    assert result.upper().partition(".")[0] not in RESERVED
    assert all(unicodedata.category(char)[0] in "LNM" or char in "-_" for char in result)
    assert not any(
        unicodedata.category(char)[0] == "M"
        for before, char in zip("-" + result, result, strict=False)
        if before == "-"
    )
    longest = names.make_id(datetime(2026, 11, 23, 14, 30, tzinfo=UTC), name, 10**9)
    for form in ("NFC", "NFD"):
        assert len(unicodedata.normalize(form, longest).encode()) <= 255
    assert len(longest.encode("utf-16-le")) // 2 <= 255
    assert names.is_session_folder_name(longest)


@given(st.text(st.characters(max_codepoint=127), max_size=300))
@example("-" * 3 + "x" * 178 + "-y")
@example("a\x1c.-b\x85")
def test_the_short_way_for_ascii_gives_what_the_long_one_gives(name: str) -> None:
    long_way = names._sanitise_any_script(name) or names.DEFAULT_NAME
    assert names.sanitise(name) in (long_way, long_way + "_")
    assert names.collision_key(name) == names.collision_key(name + "é")[: len(name)]


@given(tricky)
def test_normal_forms_of_one_name_give_one_result(name: str) -> None:
    assert names.sanitise(unicodedata.normalize("NFD", name)) == names.sanitise(unicodedata.normalize("NFC", name))


@given(tricky, tricky)
def test_ids_that_differ_for_our_key_differ_for_every_file_system(one: str, other: str) -> None:
    first, second = names.sanitise(one), names.sanitise(other)
    if names.collision_key(first) != names.collision_key(second):
        for fold in (str.lower, str.upper, str.casefold):
            for form in ("NFC", "NFD"):
                assert unicodedata.normalize(form, fold(first)) != unicodedata.normalize(form, fold(second))


@pytest.mark.parametrize(
    ("typed", "result"),
    [
        ("test_session", "test_session"),
        ("  Butterfly  flight - 2 ", "Butterfly-flight-2"),
        ("a/b\\c:d", "abcd"),
        ("nul.txt", "nultxt"),
        ("CON", "CON_"),
        ("COM¹", "COM1_"),
        ("", "session"),
        ("🚁🚁", "session"),
        ("...", "session"),
        ("über—flug", "über-flug"),
        ("x\u202ey", "xy"),
    ],
)
def test_known_names(typed: str, result: str) -> None:
    assert names.sanitise(typed) == result


@pytest.mark.parametrize(
    ("one", "other"), [("Foo", "foo"), ("stra\u00dfe", "STRASSE"), ("é", "e\u0301"), ("I", "ı"), ("ﬁ", "fi")]
)
def test_twins_share_a_collision_key(one: str, other: str) -> None:
    assert names.collision_key(one) == names.collision_key(other)


def test_lone_surrogates_and_endless_names_are_refused() -> None:
    for name in ("\ud800", "x" * 4097):
        with pytest.raises(InvalidName):
            names.check_typed_name(name)


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "a\\b", "..", "x\ny", "x" * 256])
def test_what_cannot_be_a_session_folder(name: str) -> None:
    assert not names.is_session_folder_name(name)


@pytest.mark.parametrize("name", ["my run (copy)", "202611231430-x copy", "été", "🚁"])
def test_a_renamed_folder_may_have_any_visible_name(name: str) -> None:
    assert names.is_session_folder_name(name)


def test_ids_are_stamped_named_and_numbered() -> None:
    minute = datetime(2026, 11, 23, 14, 30, 59, tzinfo=UTC)
    assert names.make_id(minute, None) == "202611231430"
    assert names.make_id(minute, "Butter fly") == "202611231430-Butter-fly"
    assert names.make_id(minute, "Butter fly", 3) == "202611231430-Butter-fly-3"
    assert names.stamp_of("202611231430-x") == datetime(2026, 11, 23, 14, 30, tzinfo=UTC)
    assert names.stamp_of("202699999999") is None and names.stamp_of("holiday") is None


def test_every_naughty_string_has_a_valid_name(data: Path) -> None:
    for text in json.loads((data / "blns.json").read_text()):
        once = names.sanitise(text)
        assert names.sanitise(once) == once and names.is_session_folder_name(once)


def test_errors_survive_pickling() -> None:
    error = Corrupt("does not parse", "/a/session.json", None, 3, 7)
    assert str(pickle.loads(pickle.dumps(error))) == "/a/session.json:3:7: does not parse"
