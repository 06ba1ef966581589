"""Sweeps, as methods of the store. Not here: how (sweeps)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sessionstore import late_imports

if TYPE_CHECKING:
    from sessionstore.late_imports import Sweep


class Swept:
    """How one program is run with many sets of parameters."""

    def sweep(
        self,
        program: Any,
        *,
        name: str | None = None,
        grid: Mapping[str, Sequence[Any]] | None = None,
        zip: Mapping[str, Sequence[Any]] | None = None,
        random: Mapping[str, Any] | None = None,
        latin_hypercube: Mapping[str, Any] | None = None,
        sobol: Mapping[str, Any] | None = None,
        tpe: Mapping[str, Any] | None = None,
        seeds: int | Iterable[int] | None = None,
        exclude: str | Iterable[str] | None = None,
        minimise: str | None = None,
        maximise: str | None = None,
        time_limit_s: float | None = None,
        memory_limit_mb: float | None = None,
        attempts: int | None = None,
        executor: Any = None,
        report: Callable[[Any], None] | None = None,
    ) -> Sweep:
        """Run a function or a scenario at each point, each a session; what has ended before is not run again.

        Args:
            program: a function that gets the parameters by name (and the recorder as ``session`` if it has such a
                parameter), ``file.py:function``, or a scenario: its path, ready name, or a mapping.
            name: of the sweep (default: of the program); the same name is the same sweep, and goes on.
            grid, zip: a list of values for each parameter.
            random, latin_hypercube, sobol: ``{"count": 50, "parameters": {"x": (0.0, 1.0)}}``.
            tpe: the same; Optuna chooses each point by the objective (``sessionstore[optimise]``).
            seeds: a number, or the seeds themselves; results are summed up over them.
            exclude: conditions such as ``"wind > 5 and load == 'full'"``.
            minimise, maximise: an expression over figures: ``"energy_wh / windows"``.
            time_limit_s, memory_limit_mb: of one point; above, it fails and the sweep goes on.
            attempts: how often a point is run whose process dies (default 3).
            executor: a number of processes (default: all cores), or a Dask client or its address.
            report: called with the progress whenever a point ends.

        Raises:
            InvalidRecord, ScenarioError: nothing was run. Conflict: another process runs this sweep.
            ModuleNotFoundError: the extra is missing (``pip install 'sessionstore[sweeps]'``).
        """
        given = {key: value for key, value in locals().items() if key not in ("self", "program")}
        return late_imports.sweep()(self, program, **given)

    def sweeps(self) -> list[Sweep]:
        """Return the sweeps of this store."""
        return late_imports.all_sweeps()(self)
