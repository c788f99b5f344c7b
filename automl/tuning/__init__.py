"""The loop of a search: tuner, executors, stopping, final evaluation."""
