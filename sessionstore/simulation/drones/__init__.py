"""One drone and its physics: motion, battery, tether, GPS, radio, paths and separation.

Not here: what a drone is to do (simulation.mission).
"""
