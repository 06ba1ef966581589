"""The fleet's shared board of work: what is mapped, what is dirty, the current batch, and what waits for
inspection.

A window is claimed by one climber at a time, a facade by one climber and one scout. Nothing here moves a
drone. Chosen, not known: the batch of four windows a climber, the score that orders buildings, the quality of
the brush. Not here: phases (mission), flying there (roles).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random

from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.drones.strokes import facade_order
from sessionstore.simulation.world.facades import CLEAN_BELOW, Facade, Window
from sessionstore.simulation.world.geometry import Vec3
from sessionstore.simulation.world.world import World

AHEAD_S = 600.0  # known: scouts map ten minutes ahead of the climbers
WINDOW_S = 30.0  # chosen: what a climber needs for one, to turn the ten minutes into a number
MAX_CLEANINGS = 3  # chosen: then the window is given up and reported
STREAK_SHARE = 0.12  # chosen: how often the brush leaves a streak that an inspection finds
DISTANCE_WEIGHT_M = 50.0  # chosen: 50 m of way weigh as much as a full point of dirt


@dataclass
class Run:
    """Some windows of one facade, in cleaning order, for one climber."""

    facade: Facade
    windows: list[Window]


class Crew:
    """The board. All lists are in a fixed order; the random stream serves cleaning and inspection only."""

    def __init__(self, world: World, seed: str, batch_per_climber: int = 4) -> None:
        self.world = world
        self.batch_per_climber = batch_per_climber
        self._random = Random(f"{seed}/brush")
        self._to_map = [f for f in world.facades if f.viewpoints]
        self._to_map.sort(key=lambda f: (world.from_base_m(f.viewpoints[0]), f.id))
        self._scouting: set[str] = set()
        self.open: list[Window] = []  # found, dirty, not in the batch
        self.batch: list[Window] = []  # to be cleaned in this EXECUTE
        self.cleaned: list[Window] = []  # wait for inspection
        self.bad: list[Window] = []  # failed it: back to EXECUTE
        self.counts = {"found": 0, "cleaned": 0, "inspected": 0, "failed_inspection": 0, "given_up": 0}
        self.clean_ids: set[str] = set()

    # --- SCAN

    @property
    def all_mapped(self) -> bool:
        """Whether no facade is left to map."""
        return not self._to_map

    @property
    def work_is_over(self) -> bool:
        """Whether all is mapped and no window is left to clean or to inspect."""
        return self.all_mapped and not (self.open or self.batch or self.cleaned or self.bad)

    def next_to_map(self, drone: Drone) -> Facade | None:
        """Claim the nearest facade that no scout maps yet, near ones to the base first."""
        free = list(islice((f for f in self._to_map if f.id not in self._scouting), 4))
        if not free:
            return None
        facade = min(free, key=lambda f: (drone.distance_to(f.viewpoints[0]), f.id))
        self._scouting.add(facade.id)
        return facade

    def leave_unmapped(self, facade: Facade) -> None:
        """Give a facade back that was claimed for mapping."""
        self._scouting.discard(facade.id)

    def finish_map(self, facade: Facade) -> None:
        """Take a facade off the list of those to map."""
        self._scouting.discard(facade.id)
        if not facade.mapped:
            facade.mapped = True
            self._to_map.remove(facade)

    def observe(self, facade: Facade, viewpoint: Vec3, sigma: float = 0.05) -> list[Window]:
        """Enter what a camera sees from a viewpoint; return the windows that are new."""
        fresh = [w for w in facade.windows if w.reachable and not w.found and facade.sees(viewpoint, w)]
        for window in fresh:
            self._enter(window, min(1.0, max(0.0, window.dirt + self._random.gauss(0.0, sigma))))
        return fresh

    def enter_from_model(self, count: int) -> int:
        """Without a scout: take windows from the city model, their dirt taken for 0.5."""
        entered = 0
        while self._to_map and entered < count:
            facade = self._to_map[0]
            for window in facade.serviceable:
                self._enter(window, 0.5)
                entered += 1
            self.finish_map(facade)
        return entered

    def _enter(self, window: Window, estimate: float) -> None:
        window.found, window.dirt_estimate = True, round(estimate, 3)
        self.counts["found"] += 1
        if estimate >= CLEAN_BELOW:
            self.open.append(window)

    def far_ahead(self, climbers: int) -> bool:
        """Whether the climbers have ten minutes of mapped work in front of them, and enough facades for
        all.
        """
        return len(self.open) >= max(1, climbers) * AHEAD_S / WINDOW_S and self.enough_to_plan(climbers)

    def enough_to_plan(self, climbers: int) -> bool:
        """Whether a full batch is mapped, with a facade for every climber."""
        share = self.batch_per_climber
        missing = share * max(1, climbers)
        per_facade: dict[str, int] = {}
        for window in self.open:
            facade = window.facade.id
            per_facade[facade] = on_facade = per_facade.get(facade, 0) + 1
            missing -= on_facade <= share
            if missing <= 0:
                return True
        return False

    # --- PLAN

    def plan_batch(self, climbers: int) -> list[Window]:
        """Order buildings by distance and dirt, and take the next windows; every climber gets a facade if it
        can.
        """
        size = self.batch_per_climber * max(1, climbers)
        by_facade: dict[str, list[Window]] = {}
        for window in self.open:
            by_facade.setdefault(window.facade.id, []).append(window)
        share = self.batch_per_climber
        for windows in sorted(by_facade.values(), key=self._score):
            ordered = facade_order(windows, windows[0].facade.is_wide)
            self.batch.extend(ordered[: min(share, size - len(self.batch))])
            if len(self.batch) >= size:
                break
        chosen = {w.id for w in self.batch}
        self.open = [w for w in self.open if w.id not in chosen]
        return list(self.batch)

    def _score(self, windows: Sequence[Window]) -> tuple[float, str]:
        """Near and dirty first."""
        dirt = sum(w.dirt_estimate or 0.0 for w in windows) / len(windows)
        distance = self.world.from_base_m(windows[0].center_m)
        return (round(distance / DISTANCE_WEIGHT_M - dirt, 6), windows[0].facade.id)

    # --- EXECUTE

    def next_run(self, drone: Drone) -> Run | None:
        """Claim the windows of one facade: the one the drone sits on, or the nearest that is free."""
        free: dict[str, list[Window]] = {}
        for window in self.batch:
            if not window.claimed and window.facade.claimed_by in (None, drone.id):
                free.setdefault(window.facade.id, []).append(window)
        if not free:
            return None
        windows = min(free.values(), key=lambda ws: (drone.distance_to(ws[0].standoff_m), ws[0].id))
        facade = windows[0].facade
        for window in windows:
            window.claimed = True
        facade.claimed_by = drone.id
        return Run(facade, facade_order(windows, facade.is_wide))

    def release(self, run: Run, drone: Drone) -> None:
        """Give back what is not done; the facade stays claimed while the drone sits on it."""
        for window in run.windows:
            window.claimed = False
        if drone.facade is not run.facade:
            self.free_facade(run.facade, drone)

    def free_facade(self, facade: Facade, drone: Drone) -> None:
        """Give a climber's claim on a facade back."""
        if facade.claimed_by == drone.id:
            facade.claimed_by = None

    def wipe(self, window: Window, t_s: float) -> float:
        """The brush has passed over a window: lower its dirt and return what is left."""
        streak = self._random.random() < STREAK_SHARE
        share = self._random.uniform(0.35, 0.6) if streak else self._random.uniform(0.02, 0.12)
        window.dirt = round(window.dirt * share, 4)
        window.cleanings += 1
        window.cleaned_at_s = t_s
        self.batch.remove(window)
        self.cleaned.append(window)
        if window.id not in self.clean_ids:
            self.clean_ids.add(window.id)
            self.counts["cleaned"] += 1
        return window.dirt

    def give_up(self, window: Window) -> None:
        """No drone reaches it: take it off the board and count it."""
        window.given_up = True
        self.counts["given_up"] += 1
        for board in (self.batch, self.open, self.bad):
            if window in board:
                board.remove(window)

    # --- VERIFY

    def next_to_inspect(self, drone: Drone) -> Window | None:
        """Return the nearest window that waits for a verdict and that no overseer has claimed."""
        free = [w for w in self.cleaned if not w.claimed]
        if not free:
            return None
        return min(free, key=lambda w: (drone.distance_to(w.standoff_m), w.id))

    def inspect(self, window: Window) -> bool:
        """Judge a cleaned window; a bad one goes back to EXECUTE unless it was tried often enough."""
        seen = window.dirt + self._random.gauss(0.0, 0.01)
        window.dirt_estimate = round(min(1.0, max(0.0, seen)), 3)
        self.counts["inspected"] += 1
        self.cleaned.remove(window)
        if seen < CLEAN_BELOW:
            return True
        self.counts["failed_inspection"] += 1
        if window.cleanings >= MAX_CLEANINGS:
            self.give_up(window)
        else:
            self.bad.append(window)
        return False

    def send_back(self) -> list[Window]:
        """Make the windows that failed the new batch."""
        self.batch, self.bad = self.bad, []
        return list(self.batch)
