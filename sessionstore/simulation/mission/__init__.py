"""The fleet at work: phases, roles, commands, faults, supply and figures.

Not here: the physics of one drone (simulation.drones), the live run and its recorder (simulation.hmrs_simulation_live).
"""
