"""From runs to verdicts: regret, comparison, statistics."""
