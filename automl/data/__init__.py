"""Built-in data sets and the user's files, as arrays."""
