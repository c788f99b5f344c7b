"""Measurements other than the comparison of strategies, each a command."""
