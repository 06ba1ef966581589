"""A flight recorder for simulation fleets: every session is a folder; the index over them is derived."""

__version__ = "0.1.0"
