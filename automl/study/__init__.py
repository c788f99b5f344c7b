"""Trials, the study that keeps them, and the folder of a run."""
