"""What is tuned: built-in tasks, functions, shell commands and the user's data."""
