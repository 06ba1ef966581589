"""Tanker-mule: brings a climber on the wall a full cartridge when its fluid is below 20 %; the swap takes 12
s.
"""

from __future__ import annotations

from sessionstore.simulation.drones.drone import Drone
from sessionstore.simulation.drones.separation import least_distance_m
from sessionstore.simulation.errors import NoPath
from sessionstore.simulation.mission.pilot import WALL_DISTANCE_M, Behaviour, fly_to, go_home, wait
from sessionstore.simulation.mission.views import Talking

SWAP_S = 12.0  # known: under 15 s
CLEARANCE_M = 0.35  # chosen: of the arm that hands over the cartridge


def mule(fleet: Talking, drone: Drone) -> Behaviour:
    """Answer calls in the order they came; restock when empty; rest on the berth without a call."""
    while True:
        client = fleet.supply.next_call(drone) if drone.cartridges else None
        if client is None:
            if drone.mode != "docked":
                yield from go_home(fleet, drone, "idle" if drone.cartridges else "restock")
            drone.activity = "waiting for a call" if drone.cartridges else "restocking"
            yield
            continue
        try:
            yield from _serve(fleet, drone, client)
        finally:
            fleet.supply.end_call(drone, client)
        yield


def _serve(fleet: Talking, drone: Drone, client: Drone) -> Behaviour:
    facade = client.facade
    if facade is None:
        return
    drone.activity = f"bringing fluid to {client.id}"
    reach = max(2.4, WALL_DISTANCE_M + least_distance_m(drone, client) + CLEARANCE_M) - WALL_DISTANCE_M
    try:
        yield from fly_to(fleet, drone, facade.off_wall(client.position, reach))
    except NoPath as error:
        fleet.log.event("no_path", str(error), level="warning", drone=drone.id, client=client.id)
        return
    if client.facade is not facade or drone.distance_to(client.position) > reach + 1.0:
        return  # it has left meanwhile
    decision = fleet.log.decide(
        "swap",
        drone,
        {"fluid_l": round(client.fluid_l, 3), "cartridges": drone.cartridges},
        {"client": client.id},
    )
    started_s = fleet.clock.t_s
    drone.activity = f"swapping the cartridge of {client.id}"
    fleet.radio.send(drone, client, "DOCK", "cartridge swap begins", fleet.clock.t_s)
    try:
        yield from wait(SWAP_S)
        drone.cartridges -= 1
        client.fluid_l = client.kind.cartridge_l
        drone.day.swaps += 1
    finally:
        swapped = client.fluid_l == client.kind.cartridge_l
        decision.close({"swapped": swapped, "time_s": round(fleet.clock.t_s - started_s, 2)})
    fleet.log.event("swap", f"{drone.id} swapped the cartridge of {client.id}", drone=drone.id, client=client.id,
                time_s=round(fleet.clock.t_s - started_s, 2), cartridges_left=drone.cartridges)  # fmt: skip
    fleet.radio.send(drone, client, "DOCK", "cartridge swap done", fleet.clock.t_s)
