"""``python -m automl.run``: the command ``automl run`` by itself."""

from automl.cli import run_command

if __name__ == "__main__":
    run_command("run")
