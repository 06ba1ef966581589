"""Tests of the simulation floor."""
