"""Errors the user can fix: shown as one line, without a traceback."""


class UserError(ValueError):
    """The input breaks a rule. The message names the rule, the value seen and the way out."""


def install_command(extra: str) -> str:
    """The command that installs the packages of an extra, inside and outside of a checkout."""
    from importlib import metadata

    required = (line.partition(";") for line in metadata.requires("automl") or ())
    packages = [package.strip() for package, _, marker in required if f'extra == "{extra}"' in marker]
    return " ".join(["pip install", *(f"'{package}'" for package in packages)])
