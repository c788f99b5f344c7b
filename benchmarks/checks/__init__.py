"""The leaderboard and losses against the rows: a second, shorter computation, and the comparison with it."""
