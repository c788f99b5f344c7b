"""The leaderboard against the rows: a second, shorter computation, and the comparison with it."""
