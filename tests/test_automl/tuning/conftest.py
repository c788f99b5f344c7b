"""A search that is watched."""

import pytest

import automl
from automl.tuning.tuner import Tuner


@pytest.fixture
def tune_watched(monkeypatch):
    """``automl.tune``, with a function that is called after each round of the loop."""

    def tune(*arguments, watch, **options):
        with monkeypatch.context() as patch:
            patch.setattr("automl.runs.search.Tuner", lambda *a, **kw: Tuner(*a, **kw | {"watch": watch}))
            return automl.tune(*arguments, **options)

    return tune
