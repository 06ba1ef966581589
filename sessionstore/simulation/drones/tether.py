"""The lifeline's tether: a spring that a winch keeps at 15 N with a PID controller.

Known: 15 N, 10-20 N allowed, a snag is reported at 5 N off, PID 0.5 / 0.1 / 0.2, 50 m of tether.
Chosen: the tether's stiffness and the winch's gain, with which these PID figures are stable at 20 Hz.
Not here: where the lifeline hovers (simulation.mission.roles.lifeline).
"""

from __future__ import annotations

from dataclasses import dataclass

TARGET_N, LOW_N, HIGH_N, SNAG_N = 15.0, 10.0, 20.0, 5.0
KP, KI, KD = 0.5, 0.1, 0.2
LENGTH_M = 50.0
STIFFNESS_N_PER_M = 10.0
WINCH_MPS_PER_UNIT = 0.3
WINCH_MAX_MPS = 2.0
POWER_W = 900.0  # chosen: what it feeds to the climber
FLUID_LPS = 0.02  # chosen


@dataclass
class Tether:
    """One tether between a lifeline and a climber."""

    paid_out_m: float
    tension_n: float = TARGET_N
    integral: float = 0.0
    last_error_n: float = 0.0
    snagged: bool = False
    lowest_n: float = TARGET_N
    highest_n: float = TARGET_N
    pull_n: float = 0.0  # an outside disturbance: what a snag adds

    @classmethod
    def between(cls, distance_m: float) -> Tether:
        """A tether that hangs at its target tension."""
        return cls(paid_out_m=distance_m - TARGET_N / STIFFNESS_N_PER_M)

    def step(self, distance_m: float, dt_s: float) -> str | None:
        """Advance by one tick; return "snag" or "free" when that has just changed."""
        stretch = distance_m - self.paid_out_m
        self.tension_n = max(0.0, STIFFNESS_N_PER_M * stretch + self.pull_n)
        error = self.tension_n - TARGET_N
        self.integral = max(-20.0, min(20.0, self.integral + error * dt_s))
        output = KP * error + KI * self.integral + KD * (error - self.last_error_n) / dt_s
        self.last_error_n = error
        speed = max(-WINCH_MAX_MPS, min(WINCH_MAX_MPS, WINCH_MPS_PER_UNIT * output))
        self.paid_out_m = max(0.0, min(LENGTH_M, self.paid_out_m + speed * dt_s))
        self.lowest_n = min(self.lowest_n, self.tension_n)
        self.highest_n = max(self.highest_n, self.tension_n)
        was = self.snagged
        # free again only well inside the band, or gusts would ring the bell at every tick
        self.snagged = abs(error) >= SNAG_N or (was and abs(error) > SNAG_N / 2)
        return None if was == self.snagged else "snag" if self.snagged else "free"
