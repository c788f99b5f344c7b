"""``python -m automl COMMAND``, the same as the console script ``automl COMMAND``."""

import sys

from automl.cli import main as command_line


def main() -> None:
    """The entry point of the console script."""
    command_line(sys.argv[1:])


if __name__ == "__main__":
    main()
