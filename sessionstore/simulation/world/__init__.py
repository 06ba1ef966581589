"""The world of a flight: buildings, facades and windows, city files, weather, birds.

Not here: drones (simulation.drones), missions (simulation.mission).
"""
