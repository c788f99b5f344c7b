"""Numbers and counts in the sentences and tables for users."""


def counted(n: int, what: str) -> str:
    """For example ``1 trial`` or ``1,200 trials``."""
    return f"{n:,} {what}{'s' * (n != 1)}"
