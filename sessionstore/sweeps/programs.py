"""What a sweep runs at a point: a function of the user, or a scenario of the simulation.

A function gets its parameters by name, and the recorder when it has a parameter ``session``; what it returns (a
mapping, or one number as ``result``) becomes the totals of the session. What it prints becomes the stream ``log``.
Not here: which points (definition), limits (isolated), the scenario itself (simulation.swept_scenario).
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import inspect
import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Protocol

from sessionstore.errors import InvalidRecord
from sessionstore.session.current import SESSION_VARIABLE
from sessionstore.session.recorder import Recorder
from sessionstore.store import SessionStore
from sessionstore.sweeps import fingerprint

#: The class that records a flight of a scenario; by name, since the simulation is a room of its own.
_SCENARIO = ("sessionstore.simulation.swept_scenario", "SweptScenario")
_SESSION = "session"
_MAX_LINE = 10_000
#: What cloudpickle writes in place of the name of a file.
_UNNAMED = "<dynamic-code>"


class Program(Protocol):
    """What runs at a point; it pickles, and runs in another process or on another machine."""

    label: str
    fingerprint: str

    def check(self, parameters: Mapping[str, Any]) -> None:
        """Refuse parameters that it cannot run with. Raises: InvalidRecord or a ScenarioError."""

    def record(
        self,
        store: SessionStore,
        name: str,
        metadata: Mapping[str, Any],
        parameters: Mapping[str, Any],
        begun: Callable[[str], None],
    ) -> None:
        """Run with these parameters and record it; ``begun`` is called with the id of the session."""


def program_of(given: Any) -> Program:
    """Return the program of a function, of ``file.py:function``, ``module:function`` or of a scenario.

    Raises: InvalidRecord: it is none of them; ScenarioError.
    """
    if callable(given):
        return FunctionProgram(given)
    if (isinstance(given, str) and ":" in given and not given.startswith(("/", "."))) or _names_function(given):
        return FunctionProgram(imported(str(given)), str(given))
    if isinstance(given, str | os.PathLike | Mapping):
        return scenario_program(given)
    raise InvalidRecord(f"a function or a scenario is expected, not {type(given).__name__}")


def _names_function(given: Any) -> bool:
    return isinstance(given, str) and given.rpartition(":")[0].endswith(".py")


def scenario_program(given: Any, source: str = "sweep") -> Program:
    """Return the program that flies a scenario: its path, its ready name, or a mapping as in a file."""
    module, name = _SCENARIO
    made: Program = getattr(importlib.import_module(module), name)(given, source)
    return made


class FunctionProgram:
    """A function of the user."""

    def __init__(self, function: Callable[..., Any], label: str = "") -> None:
        self.function = function
        self.label = label or fingerprint.name_of(function)
        self.fingerprint = fingerprint.of_function(function)
        try:
            self._file = inspect.getsourcefile(function)
        except TypeError:
            self._file = None
        self.origin = _origin_of(function, self._file, self.label, self.fingerprint)
        try:
            self._signature: inspect.Signature | None = inspect.signature(function)
        except (TypeError, ValueError):  # of some functions written in C
            self._signature = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._file is not None:
            _name_file(self.function, self._file)

    def check(self, parameters: Mapping[str, Any]) -> None:
        """Refuse parameters that the function does not have, or lacks. Raises: InvalidRecord."""
        if self._signature is None:
            return
        try:
            self._signature.bind(**parameters, **({_SESSION: None} if self._takes_session else {}))
        except TypeError as error:
            raise InvalidRecord(f"{self.label}{self._signature}: {error}") from error

    @property
    def _takes_session(self) -> bool:
        return self._signature is not None and _SESSION in self._signature.parameters

    def record(
        self,
        store: SessionStore,
        name: str,
        metadata: Mapping[str, Any],
        parameters: Mapping[str, Any],
        begun: Callable[[str], None],
    ) -> None:
        """Call the function and record it. Raises: as the function; the session is marked failed then."""
        seed = parameters.get("seed")
        seed = seed if isinstance(seed, int) else None
        called = {**self.origin, "parameters": dict(parameters)}
        with store.record(name, metadata=dict(metadata), seed=seed, function=called) as run:
            begun(run.session_id)
            given = {**parameters, **({_SESSION: run} if self._takes_session else {})}
            with _as_current(run), _kept_output(run):
                found = self.function(**given)
            run.finish(performance_metrics=_metrics(run, found))


def _origin_of(function: Callable[..., Any], path: str | None, label: str, fingerprint: str) -> dict[str, Any]:
    """Return what a session keeps of a function: ``place`` is the name by which it is imported again, or None."""
    found: dict[str, Any] = {"name": label, "fingerprint": fingerprint, "place": None}
    if path is None or not os.path.isfile(path):
        return found
    file = Path(path).absolute()
    found |= {"file": str(file), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    module, name = str(getattr(function, "__module__", "")), str(getattr(function, "__qualname__", ""))
    if name.isidentifier() and module != "__main__":  # a script would run its sweep, were it imported
        found["place"] = f"{module if '.' in module else file}:{name}"
    return found


def _name_file(function: Callable[..., Any], path: str) -> None:
    """Name the file of functions that came by their code, so that a traceback shows their lines."""
    for each in (function, *getattr(function, "__globals__", {}).values()):
        code = getattr(each, "__code__", None)
        if isinstance(each, FunctionType) and code is not None and code.co_filename == _UNNAMED:
            each.__code__ = code.replace(co_filename=path)


def _metrics(run: Recorder, found: Any) -> dict[str, Any]:
    """Return the figures of what a function returned, over those that it stored itself."""
    before = dict(run.record.performance_metrics)
    if isinstance(found, Mapping):
        totals = {str(key): value for key, value in found.items()}
    elif found is None:
        totals = {}
    else:
        totals = {"result": found}
    return {**before, "totals": {**before.get("totals", {}), **totals}}


@contextlib.contextmanager
def _as_current(run: Recorder) -> Iterator[None]:
    """Give the session to ``sessionstore.current()``; the process is that of this point alone."""
    given = {SESSION_VARIABLE: run.session_id, "SESSIONSTORE_DIR": str(run.folder.parent)}
    before = {key: os.environ.get(key) for key in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


class _LogLines(io.TextIOBase):
    """Text that a program prints, as lines of the stream ``log``."""

    def __init__(self, run: Recorder, output: str, level: str) -> None:
        self._run, self._output, self._level, self._rest = run, output, level, ""
        self._storing = False

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self._storing:  # a warning of the store itself, about this very line
            return len(text)
        *lines, self._rest = (self._rest + text).split("\n")
        self._storing = True
        try:
            for line in lines:
                self._run.log(line[:_MAX_LINE], level=self._level, output=self._output)
        finally:
            self._storing = False
        return len(text)

    def end(self) -> None:
        """Store what has no newline yet."""
        if self._rest:
            self.write("\n")


@contextlib.contextmanager
def _kept_output(run: Recorder) -> Iterator[None]:
    out, err = _LogLines(run, "stdout", "info"), _LogLines(run, "stderr", "warning")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            yield
        finally:
            out.end()
            err.end()


def imported(name: str) -> Callable[..., Any]:
    """Return the function that ``file.py:function`` or ``package.module:function`` names. Raises: InvalidRecord."""
    place, _, attribute = name.rpartition(":")
    module = _module_of_file(Path(place)) if place.endswith(".py") else _module(place)
    found = getattr(module, attribute, None)
    if not callable(found):
        names = ", ".join(key for key, value in vars(module).items() if inspect.isfunction(value)) or "none"
        raise InvalidRecord(f"{place} has no function {attribute!r}; its functions: {names}")
    function: Callable[..., Any] = found
    return function


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InvalidRecord(f"{name} cannot be imported: {error}") from error


def _module_of_file(path: Path) -> ModuleType:
    """Return the module of a file; its functions travel to other processes and machines by their code."""
    import cloudpickle

    if not path.is_file():
        raise InvalidRecord(f"{path} is not a file")
    name = f"sweep_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent.absolute()))
    spec.loader.exec_module(module)
    cloudpickle.register_pickle_by_value(module)
    return module
