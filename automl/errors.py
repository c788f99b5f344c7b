"""Errors the user can fix: shown as one line, without a traceback."""


class UserError(ValueError):
    """The input breaks a rule. The message names the rule, the value seen and the way out."""
