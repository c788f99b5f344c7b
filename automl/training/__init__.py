"""Training of networks and estimators, epoch by epoch."""
