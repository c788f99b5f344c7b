"""The folder of the data sets on this machine."""

import os
from pathlib import Path

from platformdirs import user_data_dir


def data_folder() -> Path:
    """$AUTOML_DATA, else the platform's data folder."""
    return Path(os.environ.get("AUTOML_DATA") or user_data_dir("automl"))
