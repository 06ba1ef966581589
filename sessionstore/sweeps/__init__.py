"""Sweeps: one program with many sets of parameters, each run a session; what is missing is run, and only that.

``samplers`` and ``definition`` give the points, ``programs`` what runs at one, ``isolated`` runs it in a process of
its own with limits, ``local`` (joblib) and ``cluster`` (Dask) on one or many machines, ``results`` reads what came out.
Not here: the flight of a scenario (simulation.running.swept_scenario), the page (server).
"""
