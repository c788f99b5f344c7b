"""Comparisons and measurements. They import automl and strategies, never the reverse."""
