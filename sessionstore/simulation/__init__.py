"""The live simulation of a heterogeneous drone fleet, which records itself."""
