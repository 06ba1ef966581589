"""The same program again: recording one from outside (programs), running it again (rerun), comparing both (agreement).

Not here: the fleet that is flown again (simulation), what provenance a session keeps (model.provenance).
"""
