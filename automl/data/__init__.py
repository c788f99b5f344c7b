"""Data: built-in sets and the user's files, as arrays."""
