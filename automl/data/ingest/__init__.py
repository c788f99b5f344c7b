"""The user's own data: from a file to arrays that trainings share, and from a model's folder to predictions."""
