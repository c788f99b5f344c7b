"""What the person at the keyboard can mend: shown as one line, without a traceback."""


class UserError(ValueError):
    """A rule that the input breaks. The message names the rule, the value seen and the way out."""
