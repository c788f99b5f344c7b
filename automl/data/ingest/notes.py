"""Notes on data, of which some are warnings in Python."""

from automl.wording import counted


class DataWarning(str):
    """A note on data that were left out or changed, or that give the target away; the estimators issue it as a
    warning."""

    __slots__ = ()


def left_out(n: int, which: str, what: str = "row") -> str:
    """For example ``1 row without a label is left out`` or ``1,200 rows without a label are left out``."""
    return f"{counted(n, what)} {which} {'is' if n == 1 else 'are'} left out"
