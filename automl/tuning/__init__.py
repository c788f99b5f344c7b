"""The search loop: tuner, executors, stopping, final evaluation."""
