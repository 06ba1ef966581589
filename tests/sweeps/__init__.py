"""Tests of the room sweeps."""
