"""Automatic tuning of models: the public API."""
