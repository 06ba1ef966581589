"""A sweep whose next points depend on the results: Optuna asks, and is answered with the objective.

The study is in the folder of the sweep (``study.log``), so a sweep that was stopped goes on where it was: trials
without an answer are run first. With seeds, a trial's value is the mean over them.
Not here: running points (running), other samplers (samplers).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sessionstore.disk import files
from sessionstore.errors import InvalidRecord
from sessionstore.sweeps.definition import SEED, Definition, Point, numbered
from sessionstore.sweeps.folder import SweepFolder
from sessionstore.sweeps.results import OBJECTIVE, Results
from sessionstore.sweeps.samplers import Parameters, range_of

#: How many trials are asked for at once, so that several processes have work.
BATCH = 8


class Study:
    """The Optuna study of a sweep.

    Raises: ModuleNotFoundError: the extra is missing (``pip install 'sessionstore[optimise]'``); InvalidRecord.
    """

    def __init__(self, folder: SweepFolder, definition: Definition) -> None:
        self._optuna = _optuna()
        self._definition = definition
        self._ranges = checked(definition.tpe)
        files.make_dirs(folder.path)
        backend = self._optuna.storages.journal.JournalFileBackend(str(folder.path / "study.log"))
        self._study = self._optuna.create_study(
            storage=self._optuna.storages.JournalStorage(backend),
            study_name=definition.fingerprint,
            direction="minimize" if definition.minimise else "maximize",
            load_if_exists=True,
        )

    def trials(self) -> list[Any]:
        """Return all trials so far."""
        found: list[Any] = self._study.get_trials(deepcopy=False)
        return found

    def open_sets(self, batch: int) -> dict[int, Parameters]:
        """Return the trials that wait for an answer, by number, after asking for more; empty when all are answered."""
        running = self._optuna.trial.TrialState.RUNNING
        waiting = {trial.number: dict(trial.params) for trial in self.trials() if trial.state == running}
        while len(waiting) < batch and len(self.trials()) < self._definition.tpe["count"]:
            number = len(self.trials())
            seed = self._definition.tpe.get("seed", 0) + number  # going on asks the same as never having stopped
            self._study.sampler = self._optuna.samplers.TPESampler(seed=seed, constant_liar=True)
            trial = self._study.ask()
            for name, table in self._ranges.items():
                _suggest(trial, name, table)
            waiting[trial.number] = dict(trial.params)
        return waiting

    def points(self, before: list[Point]) -> list[Point]:
        """Return the points of all trials."""
        seeds: list[Parameters] = [{SEED: seed} for seed in self._definition.seeds] or [{}]
        sets = [{**trial.params, **seed} for trial in self.trials() for seed in seeds]
        return numbered(sets, self._definition.fingerprint, before)

    def answer(self, results: Results, waiting: Mapping[int, Parameters]) -> None:
        """Give the study the mean objective of each trial; one of which every point failed has none."""
        state = self._optuna.trial.TrialState
        values: dict[str, list[float]] = {}
        for row in results.rows:
            if OBJECTIVE in row.values and row.status == "completed":
                values.setdefault(_key(row.parameters), []).append(row.values[OBJECTIVE])
        for number, parameters in waiting.items():
            found = values.get(_key(parameters))
            if found:
                self._study.tell(number, sum(found) / len(found))
            else:
                self._study.tell(number, state=state.FAIL)


def _key(parameters: Mapping[str, Any]) -> str:
    return repr(sorted((name, value) for name, value in parameters.items() if name != SEED))


def checked(wanted: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the ranges of a study. Raises: InvalidRecord."""
    if unknown := set(wanted) - {"count", "parameters", "seed"}:
        raise InvalidRecord(f"tpe: {', '.join(sorted(unknown))} is unknown; count, parameters and seed are known")
    if type(wanted.get("count")) is not int or wanted["count"] < 1 or not isinstance(wanted.get("parameters"), Mapping):
        raise InvalidRecord("tpe: count is a whole number of at least 1, and parameters is a table of ranges")
    return {name: range_of(name, each) for name, each in wanted["parameters"].items()}


def _suggest(trial: Any, name: str, table: Mapping[str, Any]) -> None:
    if "choices" in table:
        trial.suggest_categorical(name, table["choices"])
    elif table["integer"]:
        trial.suggest_int(name, int(table["low"]), int(table["high"]), log=table["log"])
    else:
        trial.suggest_float(name, table["low"], table["high"], log=table["log"])


def _optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("tpe needs Optuna: pip install 'sessionstore[optimise]'", name="optuna") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
