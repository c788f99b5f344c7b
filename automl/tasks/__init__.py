"""Tasks: built-in ones, functions, shell commands and the user's data."""
