"""Runs of a comparison: plan, pool, simulation, costs and results."""
