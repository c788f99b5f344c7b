"""Integrations: trackers that trials are logged to, and scikit-learn's search interface."""
