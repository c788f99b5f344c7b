"""The console that commands print to."""

from rich.console import Console


def literal_console(*, stderr: bool = False, soft_wrap: bool = False) -> Console:
    """A console without markup, since names and values from the user's data may contain square brackets."""
    return Console(stderr=stderr, soft_wrap=soft_wrap, highlight=False, markup=False)
