"""What the fleet as a whole sends by radio: a status of each drone every 5 s, and the common time.

Not here: range and loss of messages (simulation.drones.communication).
"""

from __future__ import annotations

from sessionstore.simulation.drones.communication import SYNC_EVERY_S, Radio
from sessionstore.simulation.drones.drone import TICK_HZ
from sessionstore.simulation.drones.kinds import OVERSEER
from sessionstore.simulation.mission.clock import Clock
from sessionstore.simulation.mission.roster import Roster

HEARTBEAT_TICKS = 5 * TICK_HZ  # chosen
SYNC_TICKS = round(SYNC_EVERY_S * TICK_HZ)
STAGGER_TICKS = 7  # chosen: neighbours on the roster do not send at the same tick


def send_heartbeats(clock: Clock, roster: Roster, radio: Radio) -> None:
    """Send what is due at this tick."""
    for number, drone in enumerate(roster.drones):
        if (clock.ticks + STAGGER_TICKS * number) % HEARTBEAT_TICKS == 0 and drone.active:
            data = {"battery": round(drone.battery.charge, 3), "mode": drone.mode}
            radio.send(drone, None, "STATUS", drone.activity, clock.t_s, data)
    if clock.ticks % SYNC_TICKS == 0:
        _sync_clocks(clock, roster, radio)


def _sync_clocks(clock: Clock, roster: Roster, radio: Radio) -> None:
    active = [d for d in roster.drones if d.active]
    if len(active) > 1:
        master = next((d for d in active if d.kind.role == OVERSEER), active[0])
        radio.sync_clocks(master, [d for d in active if d is not master], clock.t_s)
