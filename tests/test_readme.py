"""The README tells the truth: its blocks run, and it names every command."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sessionstore import cli

README = Path(__file__).parents[1] / "README.md"
#: What a block of commands needs that a test run does not have: it is shown, and proven elsewhere.
NOT_RUN_HERE = ("pip install", "serve", "curl ")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_blocks_run_in_order_as_a_newcomer_would_type_them(tmp_path: Path) -> None:
    names: dict[str, object] = {"__name__": "readme"}
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        for block in blocks("python"):
            exec(compile(block, "README.md", "exec"), names)
    finally:
        os.chdir(before)
    assert (tmp_path / "my_store" / "index.jsonl").is_file()


@pytest.mark.slow
def test_the_commands_run_in_order_as_a_newcomer_would_type_them(tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = 0
    for block in blocks("sh"):
        if any(word in block for word in NOT_RUN_HERE):
            continue
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        ran += 1
    assert ran >= 2


def test_every_command_is_mentioned() -> None:
    text = README.read_text()
    assert [name for name in cli.COMMANDS if f"`{name}`" not in text and f"`{name} " not in text] == []


def test_every_link_leads_to_a_file() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README.read_text())
    assert links and [link for link in links if not (README.parent / link).exists()] == []
