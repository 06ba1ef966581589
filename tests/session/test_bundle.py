"""A session as a zip: what lies in its folder and nothing else, without the extra api."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from sessionstore.session.bundle import plain_files, zip_parts
from sessionstore.store import SessionStore


def test_a_zip_holds_plain_files_and_whole_lines_only(store: SessionStore, tmp_path: Path) -> None:
    with store.record("Packed") as session:
        session.motion.append("scout-1", t_s=0.0, position_m=(0, 0, 5))
    folder = session.folder
    (tmp_path / "secret").write_text("not yours")
    (folder / "link.json").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "pipe.json")
    (folder / ".tmp-half").write_text("being written")
    with open(folder / "motion_history.jsonl", "ab") as stream:
        stream.write(b'{"n":1,"torn')
    packed = b"".join(zip_parts(session, list(plain_files(session))))
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        names = {name.removeprefix(f"{session.session_id}/") for name in archive.namelist()}
        lines = archive.read(f"{session.session_id}/motion_history.jsonl").splitlines()
    assert {"session.json", "motion_history.jsonl"} <= names and not {"link.json", "pipe.json", ".tmp-half"} & names
    assert [json.loads(line)["n"] for line in lines] == [0]


def test_a_zip_needs_no_extra(store: SessionStore, tmp_path: Path) -> None:
    session_id = store.create("Packed").session_id
    without = (
        "import sys; sys.modules.update(dict.fromkeys(('starlette', 'uvicorn', 'apispec', 'anyio')))\n"
        "from sessionstore.cli import main; main(sys.argv[1:])"
    )
    arguments = ["export", "--zip", "Packed", "--dir", str(store.root.path), "--to", str(tmp_path / "out")]
    done = subprocess.run([sys.executable, "-c", without, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert zipfile.is_zipfile(tmp_path / "out" / f"{session_id}.zip")
    arguments[1] = "--html"
    page = subprocess.run([sys.executable, "-c", without, *arguments], capture_output=True, text=True)
    assert page.returncode in (0, 1) and "Traceback" not in page.stderr
    assert page.returncode == 0 or "pip install 'sessionstore[api]'" in page.stderr
