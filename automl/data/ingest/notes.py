"""Notes on data, of which some are warnings in Python."""


class Caution(str):
    """A note on data that were left out or changed, or that give the target away; the estimators issue it as a
    warning."""

    __slots__ = ()
