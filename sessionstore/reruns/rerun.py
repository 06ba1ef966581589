"""A recorded run again, in a new session of the same store.

A flight of the simulation is flown again from its scenario, which its provenance keeps whole, with the commands
that were given to it from outside; a function of a sweep is called again (functions); any other program is started
again by its recorded command, and the session that it records then is its rerun.
Not here: comparing both (reruns.agreement), recording a program from outside (reruns.programs).
"""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import msgspec

from sessionstore.errors import InvalidRecord
from sessionstore.model import provenance
from sessionstore.reruns import functions
from sessionstore.reruns.programs import run_program, sha256_of
from sessionstore.session import Session, stream_names
from sessionstore.store import SessionStore

if TYPE_CHECKING:
    from sessionstore.simulation.mission.commands import Command

#: The key of the metadata that names the session which was run again.
RERUN_OF = "rerun_of"
_MOST_PACKAGES = 10


def changes_since(session: Session) -> list[str]:
    """Return what is missing or has changed since a session was recorded, a sentence each."""
    record = session.record
    facts = record.provenance
    found = [
        f"{name} was {facts[name]}, is {now}"
        for name, now in (("python", platform.python_version()), ("platform", platform.platform()))
        if facts.get(name) not in (None, now)
    ]
    git, now = facts.get("git") or {}, provenance.git_state(_folder_of(facts)) or {}
    if git.get("commit") != now.get("commit"):
        found.append(f"commit was {git.get('commit') or 'unknown'}, is {now.get('commit') or 'unknown'}")
    if git.get("dirty"):
        found.append("the working directory had changes that are not in the commit")
    if now.get("dirty") and not git.get("dirty"):
        found.append("the working directory has changes that are not in the commit")
    found += _changed_packages(facts.get("packages") or {})
    for each in _inputs_of(session):
        found += _changed_input(each, Path(_folder_of(facts)))
    return found + functions.changes_of(facts.get("function") or {})


def _changed_packages(before: Mapping[str, str]) -> list[str]:
    now = provenance.packages()
    changed = [
        f"package {name} was {before.get(name, 'not installed')}, is {now.get(name, 'not installed')}"
        for name in sorted({*before, *now}, key=str.lower)
        if before and before.get(name) != now.get(name)
    ]
    more = len(changed) - _MOST_PACKAGES
    return changed if more <= 0 else [*changed[:_MOST_PACKAGES], f"and {more} more packages"]


def _inputs_of(session: Session) -> list[dict[str, Any]]:
    facts = session.record.provenance
    return [*(facts.get("program") or {}).get("inputs", []), *facts.get("inputs", [])]


def _changed_input(each: Mapping[str, Any], folder: Path) -> list[str]:
    path = folder / each["path"]
    if each.get("session"):
        return [] if path.is_dir() else [f"session {each['path']} is missing; the town in this session is used"]
    kept = "; the copy in the session is used" if each.get("artifact") and each.get("scenario") else ""
    if not path.is_file():
        return [f"input {each['path']} is missing{kept}"]
    digest, _ = sha256_of(path)
    return [] if digest == each["sha256"] else [f"input {each['path']} has changed{kept}"]


def _folder_of(facts: Mapping[str, Any]) -> str:
    return str((facts.get("program") or facts).get("folder") or os.getcwd())


def rerun(
    store: SessionStore,
    session: Session,
    name: str | None = None,
    at_commit: bool = False,
    output: TextIO | None = None,
) -> Session:
    """Run a session again, and return the new session, whose ``metadata.rerun_of`` names the first.

    Args:
        name: of the new session (default: the name of the first and "rerun").
        at_commit: build the recorded commit in a worktree and an environment of its own, and run the command there.
        output: where the output of a program goes (default: stdout).

    Raises: InvalidRecord: it cannot be run again, with the reason. And as the run itself.
    """
    record, facts = session.record, session.record.provenance
    name = name or f"{record.session_name or ''} rerun".strip()
    marks = {RERUN_OF: session.session_id}
    if at_commit and record.metadata.get("sweep"):
        raise InvalidRecord(
            "a point of a sweep has no command of its own: check out the commit, and run it again there"
        )
    if facts.get("function"):
        return functions.called_again(store, facts, name, marks)
    if facts.get("scenario") and not at_commit:
        return _flown_again(store, session, name, marks)
    if not facts.get("command"):
        raise InvalidRecord(f"{session.session_id} does not know the command that recorded it")
    with _place_of(facts, at_commit) as (folder, environment, python):
        program = facts.get("program")
        if program:
            command = _without_masks(program["command"])
            given = {**program.get("environment", {}), **environment}
            inputs = [each["path"] for each in program.get("inputs", [])]
            ended = run_program(
                store, _by(python, command), name, inputs, list(program.get("environment", {})), folder=folder,
                extra_environment=given, metadata={**record.metadata, **marks}, output=output,
            )  # fmt: skip
            return store.get(ended.session_id)
        recorded = _without_masks(facts["command"])
        again = _started_again(store, recorded, _by(python, recorded), folder, environment, output)
        again.update(lambda record: record["metadata"].update(marks), session_name=name)
        return again


def _flown_again(store: SessionStore, session: Session, name: str | None, marks: Mapping[str, str]) -> Session:
    from sessionstore.boxes.session_db_box import SessionDBBox
    from sessionstore.simulation.hmrs_simulation_live import HMRSSimulationLive
    from sessionstore.simulation.running.scenarios import Scenario

    facts = session.record.provenance
    scenario = msgspec.convert(facts["scenario"], Scenario)
    if scenario.city is not None:
        scenario = scenario.with_options(city=_city_of(session, scenario.city))
    box = SessionDBBox(store=store)
    live = HMRSSimulationLive(
        scenario, session_name=name, metadata=marks, session_db_box=box, recorded=recorded_commands(session)
    )
    live.run()
    return store.get(live.session_id)


def recorded_commands(session: Session) -> list[Command]:
    """Return the commands of a flight in the order in which it took them: those of its scenario come first."""
    from sessionstore.simulation.mission.commands import Command

    return [
        Command(
            line.data["id"],
            line.data["command"],
            line.data.get("drone", ""),
            tuple(line.data["target"]) if line.data.get("target") else None,
            line.data.get("args", {}),
            line.t_s,
        )
        for line in session.tape(stream_names.COMMANDS).read(damaged="skip")
        if line.data.get("status") == "queued"
    ]


def _city_of(session: Session, path: str) -> str:
    """Return the path of the city as it was: the file itself, else the copy in the session. Raises: InvalidRecord."""
    facts = session.record.provenance
    wanted = next((each for each in facts.get("inputs", []) if each.get("scenario")), None)
    there = Path(_folder_of(facts)) / path
    if wanted is not None and wanted.get("session"):  # the town of a session, which this one's scene holds, too
        return str(there if there.is_dir() else session.folder)
    if there.is_file() and (wanted is None or sha256_of(there)[0] == wanted["sha256"]):
        return str(there)
    if wanted is None or not wanted.get("artifact"):
        raise InvalidRecord(f"the city {path} is missing or has changed, and the session holds no copy of it")
    return str(session.artifacts[wanted["artifact"]].path)


def _without_masks(command: list[str]) -> list[str]:
    if any("***" in part for part in command):
        raise InvalidRecord("the command held a secret, which was not kept: " + " ".join(command))
    return command


def _by(python: str, command: list[str]) -> list[str]:
    """Return the command as it is started: a Python file by the interpreter of its environment."""
    if command[0] in ("-c", "-"):
        raise InvalidRecord("a program typed at a prompt or after -c was not kept: it cannot be run again")
    if command[0].endswith(".py"):
        return [python, *command]
    if Path(command[0]).name in ("python", "python3"):
        return [python, *command[1:]]
    near = Path(python).parent / Path(command[0]).name  # a script of the environment of that commit
    return [str(near), *command[1:]] if near.is_file() else command


def _started_again(
    store: SessionStore,
    recorded: list[str],
    command: list[str],
    folder: Path,
    environment: Mapping[str, str],
    output: TextIO | None,
) -> Session:
    """Start a program that makes its own session; the first one that this command made in the store is the rerun."""
    before = set(store)
    given = {**os.environ, **environment, "SESSIONSTORE_DIR": str(store.root.path)}
    code = subprocess.run(command, cwd=folder, env=given, stdout=output, check=False).returncode
    new = map(store.get, sorted(set(store) - before))  # other programs may have made sessions meanwhile
    made = [each for each in new if each.record.provenance.get("command") == recorded]
    if not made:
        raise InvalidRecord(f"the program ended with {code} and recorded no session in {store.root.path}")
    return made[0]


@contextlib.contextmanager
def _place_of(facts: Mapping[str, Any], at_commit: bool) -> Iterator[tuple[Path, dict[str, str], str]]:
    """Yield where a program runs: the folder, what its environment adds, the interpreter. Raises: InvalidRecord."""
    if not at_commit:
        folder = Path(_folder_of(facts))
        if not folder.is_dir():
            raise InvalidRecord(f"the folder in which it ran is gone: {folder}")
        yield folder, {}, sys.executable
        return
    git = facts.get("git") or {}
    if not git.get("commit"):
        raise InvalidRecord("it was not recorded in a git repository, so there is no commit to go back to")
    if git.get("dirty"):
        raise InvalidRecord(f"it was recorded with changes that are not in commit {git['commit'][:10]}")
    with tempfile.TemporaryDirectory(prefix="sessionstore-rerun-") as place:
        tree, own = Path(place) / "tree", Path(place) / "environment"
        repository = _folder_of(facts)
        _git(repository, "worktree", "add", "--detach", str(tree), git["commit"])
        try:
            yield tree / git.get("folder", "."), *_environment(own, tree)
        finally:
            with contextlib.suppress(InvalidRecord):
                _git(repository, "worktree", "remove", "--force", str(tree))


def _environment(own: Path, tree: Path) -> tuple[dict[str, str], str]:
    """Return variables and interpreter of an environment that sees the packages here, and the commit's own first."""
    import venv

    venv.create(own, with_pip=False, system_site_packages=True, symlinks=os.name == "posix")
    bin_folder = own / ("Scripts" if os.name == "nt" else "bin")
    path = os.pathsep.join(filter(None, [str(tree), str(tree / "src"), *sys.path[1:]]))
    variables = {
        "VIRTUAL_ENV": str(own),
        "PATH": f"{bin_folder}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": path,
    }
    return variables, str(bin_folder / "python")


def _git(folder: str, *arguments: str) -> None:
    try:
        subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise InvalidRecord(f"git {' '.join(arguments[:2])} failed in {folder}: {said.strip()}") from error
