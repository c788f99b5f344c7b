"""Numbers and counts in the sentences and tables for users."""

import math

PLAIN = (1e-4, 1e6)  # the sizes of numbers that are written without an exponent
GROUPED = 10_000  # the smallest number with commas


def counted(n: int, what: str) -> str:
    """For example ``1 trial`` or ``1,200 trials``."""
    return f"{n:,} {what}{'s' * (n != 1)}"


def significant(value: float, digits: int = 4) -> str:
    """A number rounded to significant digits, for example ``13,420``, ``2026``, ``0.25`` or ``1.3e-05``."""
    if not math.isfinite(value) or (value and not PLAIN[0] <= abs(value) < PLAIN[1]):
        return f"{value:.{digits}g}"
    places = digits - 1 - (math.floor(math.log10(abs(value))) if value else 0)
    shown = grouped(round(value, places), max(0, places))
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def grouped(value: float, places: int) -> str:
    """A number with decimal places, and a comma before each three digits of a large one; years have none."""
    comma = "," if abs(round(value, places)) >= GROUPED else ""
    return f"{value:{comma}.{places}f}"
