"""Measurements besides the comparison of strategies, each a command."""
