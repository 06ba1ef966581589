"""One write module: nothing but ``files`` opens for writing, renames, removes, makes or cuts anything on the disk."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "sessionstore"
WRITE_MODULE = "disk/files.py"
#: Calls that change a file system, whatever they are called on; ``replace`` and ``remove`` of text, lists and our own
#: objects are told from those of os and pathlib by what they are called on.
OF_OS = {
    *("rename", "renames", "replace", "remove", "unlink", "rmdir", "removedirs", "mkdir", "makedirs", "truncate"),
    *(
        "ftruncate",
        "link",
        "symlink",
        "chmod",
        "fchmod",
        "chown",
        "fchown",
        "utime",
        "mkfifo",
        "mknod",
        "write",
        "pwrite",
    ),
    *("writev", "fsync", "fdatasync", "sync", "posix_fallocate", "sendfile", "copy_file_range"),
}
OF_SHUTIL = {"copy", "copy2", "copyfile", "copytree", "copyfileobj", "move", "rmtree", "make_archive", "unpack_archive"}
OF_PATHS = {
    *("write_text", "write_bytes", "touch", "hardlink_to", "symlink_to", "rmdir", "unlink", "mkdir", "rename"),
    *("chmod", "lchmod"),
}
WRITE_FLAGS = {"O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"}
#: What does the same job by hand, to be measured against; no store is ever written by it.
BY_HAND = (PACKAGE / "bench",)
#: Who may, and why: (module, call).
ALLOWED = {
    ("disk/rename.py", "renameat2"): "looked up here, called by files alone",
    ("disk/rename.py", "os.replace"): "for Windows, called by files alone",
    ("disk/sharing.py", "os.chmod"): "access to what files has just made",
    ("disk/sharing.py", "os.fchmod"): "access to what files has just made",
    ("disk/sharing.py", "os.fchown"): "access to what files has just made",
    ("disk/beside.py", "os.utime"): "of a file that files has just made",
    ("index/sql/postgres.py", "Connection.open"): "a connection to a server",
    ("cli/bench.py", "shutil.rmtree"): "the folder that the measurements were made in",
    (
        "maintenance/checks/portability.py",
        "tempfile.TemporaryDirectory",
    ): "the place in which a moved store is tried",
    ("reruns/rerun.py", "tempfile.TemporaryDirectory"): "the worktree of a commit, outside any store",
    ("server/flights/simulation_worker.py", "os.fdopen"): "the pipe to the server that started this process",
    ("exchange/bundle.py", "tarfile.open"): "an archive that is sent through files.put",
    ("exchange/bundle.py", "self._archive.open"): "an entry of that archive",
    ("exchange/trees.py", "self._archive.open"): "an entry that is read",
    ("exchange/remote/zipped.py", "io.BufferedReader"): "range reads of an archive",
    ("exchange/remote/store.py", "tempfile.mkdtemp"): "the folder of a mirror, removed with its process",
    ("formats/kept_rows.py", "tempfile.SpooledTemporaryFile"): "rows of a log that wait, outside any store",
    ("store/row_lines.py", "os.write"): "the pipe to the process that puts the index together",
    ("sweeps/forking.py", "os.write"): "the pipe to the process that waits for a child",
    ("sweeps/isolated.py", "os.write"): "the pipe to the process that waits for a point",
    ("sweeps/running.py", "tempfile.TemporaryDirectory"): "the scratch folder of a bundle that a worker sent",
    ("sweeps/worker.py", "tempfile.mkdtemp"): "the scratch store of a worker without a shared disk",
    ("sweeps/worker.py", "shutil.rmtree"): "the same, at the end of the point",
    ("cli/__init__.py", "os.open"): "the null device in place of a closed standard output",
}


def writes_in(source: str) -> list[tuple[int, str]]:
    """Return line and name of each call that may change the disk."""
    return [(node.lineno, name) for node in ast.walk(ast.parse(source)) if (name := _name_of_write(node))]


def _name_of_write(node: ast.AST) -> str:
    if isinstance(node, ast.Constant) and node.value == "renameat2":
        return "renameat2"
    if isinstance(node, ast.ImportFrom) and node.module in ("os", "shutil"):
        taken = {alias.name for alias in node.names} & (OF_OS | OF_SHUTIL | {"open"})
        return f"from {node.module} import {', '.join(sorted(taken))}" if taken else ""
    if not isinstance(node, ast.Call):
        return ""
    if isinstance(node.func, ast.Name):
        return "open" if node.func.id == "open" and _mode(node, 1) & set("wax+") else ""
    if not isinstance(node.func, ast.Attribute):
        return ""
    owner, name = ast.unparse(node.func.value), node.func.attr
    if owner == "os":
        if name == "open":
            return "os.open" if any(flag in ast.unparse(node) for flag in WRITE_FLAGS) else ""
        if name == "fdopen":
            return "os.fdopen" if _mode(node, 1) & set("wax+") else ""
        return f"os.{name}" if name in OF_OS else ""
    if owner == "shutil":
        return f"shutil.{name}" if name in OF_SHUTIL else ""
    if owner in ("tempfile", "io") and name != "StringIO" and name != "BytesIO":
        return f"{owner}.{name}"
    if name == "open" and owner not in ("files", "webbrowser", "sessionstore", "os"):
        return f"{owner}.open" if _mode(node, 0) & set("wax+") else ""
    return f"{owner}.{name}" if name in OF_PATHS and owner != "files" else ""


def _mode(node: ast.Call, position: int) -> set[str]:
    modes = [node.args[position]] if len(node.args) > position else []
    modes += [keyword.value for keyword in node.keywords if keyword.arg == "mode"]
    for mode in modes:
        return set(mode.value) if isinstance(mode, ast.Constant) and isinstance(mode.value, str) else set("w")
    return set()


def test_nothing_but_the_write_module_changes_the_disk() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{line} {name}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path != PACKAGE / WRITE_MODULE and path not in BY_HAND and path.parent not in BY_HAND
        for line, name in writes_in(path.read_text())
        if (str(path.relative_to(PACKAGE)), name) not in ALLOWED
    ]
    assert found == [], "\n".join(found)


def test_the_write_module_itself_is_seen_to_write() -> None:
    names = {name for _, name in writes_in((PACKAGE / WRITE_MODULE).read_text())}
    assert {"os.open", "os.write", "os.fsync", "os.replace", "os.mkdir", "os.unlink", "os.ftruncate"} <= names


@pytest.mark.parametrize(
    "source",
    [
        "open('x', 'w')",
        "open('x', mode='a+')",
        "open('x', how)",
        "os.open(p, os.O_RDWR | os.O_CREAT)",
        "os.fdopen(d, 'wb')",
        "os.replace(a, b)",
        "path.write_text('x')",
        "self.path.open('wb')",
        "path.unlink(missing_ok=True)",
        "shutil.rmtree(p)",
        "from os import unlink",
        "from shutil import move as other",
        "tempfile.NamedTemporaryFile()",
    ],
)
def test_each_way_of_writing_is_noticed(source: str) -> None:
    assert writes_in(source)


@pytest.mark.parametrize(
    "source", ["open('x')", "text.replace('a', 'b')", "os.open(p, os.O_RDONLY)", "files.put(p, b'')"]
)
def test_reading_is_not_taken_for_writing(source: str) -> None:
    assert not writes_in(source)


def test_every_operation_is_told_to_the_observer_before_it_happens() -> None:
    """Each function of the write module that makes a changing call tells about it first."""
    silent = []
    for function in ast.walk(ast.parse((PACKAGE / WRITE_MODULE).read_text())):
        if not isinstance(function, ast.FunctionDef):
            continue
        calls = [node for node in ast.walk(function) if _name_of_write(node)]
        told = [
            node.lineno
            for node in ast.walk(function)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "note"
        ]
        opens_only = all(_name_of_write(node) == "os.open" for node in calls)
        if calls and not opens_only and (not told or min(told) > min(node.lineno for node in calls)):
            silent.append(function.name)
    assert silent == []
