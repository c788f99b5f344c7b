"""Trained models of one output, from their files."""

import json
from pathlib import Path

from automl.models.trained import LEARNER, Preprocessing, TrainedLearner, TrainedModel


def load_model(folder: Path) -> TrainedModel:
    """Load a model that TrainedModel.save wrote, on the CPU."""
    config, fields = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("config", "preprocessing")
    )
    if not isinstance(config, dict):
        raise ValueError("config.json holds no object")
    rules = Preprocessing.from_json(fields)
    if (folder / LEARNER).exists():
        return TrainedLearner.of_folder(folder, config, rules)
    from automl.models.tensor_models import load_tensor_model

    return load_tensor_model(folder, config, rules)
