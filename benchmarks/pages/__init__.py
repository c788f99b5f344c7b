"""The leaderboard's pages: sentences, tables and figures."""
