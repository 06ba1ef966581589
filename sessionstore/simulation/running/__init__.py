"""Running a flight: scenario files, launch, pace, snapshots, training data, the client of the HTTP API.

Not here: the fleet (simulation.mission).
"""
