"""The user's own data: reading files, inferring types, splitting, and encoding to arrays."""
