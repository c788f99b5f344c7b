"""The search space: its short form, its parameters and their edits."""
