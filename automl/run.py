"""``python -m automl.run``, the same as ``automl run``."""

from automl.cli import run_command

if __name__ == "__main__":
    run_command("run")
