"""Comparisons and measurements: they import automl and strategies, never the other way round."""
