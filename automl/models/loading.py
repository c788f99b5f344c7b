"""Trained models of one output, from their files."""

from pathlib import Path

from automl.models.description import read_description
from automl.models.trained import LEARNER, Preprocessing, TrainedLearner, TrainedModel


def load_model(folder: Path) -> TrainedModel:
    """Load a model that TrainedModel.save wrote, on the CPU."""
    config, fields = read_description(folder)
    if not isinstance(config, dict):
        raise ValueError("config.json holds no object")
    rules = Preprocessing.from_json(fields)
    if (folder / LEARNER).exists():
        return TrainedLearner.of_folder(folder, config, rules)
    from automl.models.tensor_models import load_tensor_model

    return load_tensor_model(folder, config, rules)
