"""The lists that the page holds by itself are those of the package."""

from __future__ import annotations

import json
import re
from collections.abc import Collection

import pytest

from sessionstore.cli import columns
from sessionstore.server.http.page_files import WEB_FOLDER
from sessionstore.simulation.drones.kinds import KINDS
from sessionstore.simulation.world.weather import CONDITIONS


@pytest.mark.parametrize(("name", "known"), [("KINDS", KINDS), ("WEATHERS", CONDITIONS)])
def test_a_list_of_the_page_is_that_of_the_package(name: str, known: Collection[str]) -> None:
    text = (WEB_FOLDER / "app" / "constants.js").read_text("utf-8")
    found = re.search(rf"export const {name} = (\[.*\]);", text)
    assert found is not None
    assert set(json.loads(found[1].replace("'", '"'))) == set(known)


def test_the_columns_of_the_page_are_those_of_the_command_line() -> None:
    text = (WEB_FOLDER / "app" / "columns.js").read_text("utf-8")
    names = re.findall(r"^  (\w+): \[", text, re.M)
    assert len(names) > 15
    for name in set(names) - {"run"}:  # a bar, of two columns there
        assert columns.column(name).path


def test_the_page_weighs_at_most_400_kilobytes() -> None:
    assert sum(path.stat().st_size for path in WEB_FOLDER.rglob("*") if path.is_file()) <= 400_000
