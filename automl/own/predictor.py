"""A trained model on new data of the user: from a file, a frame or a list to classes, numbers or texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from automl.errors import UserError
from automl.models.trained import TrainedModel, load_model
from automl.own.rows import ENCODER, Encoder, Reader, load_encoder
from automl.own.text import as_texts
from automl.training import SCORING_BATCH
from automl.translators import Translator, load_translator


class Predictor:
    """What a run on own data left in its folder ``model``.

    Examples are a file's path, a frame with the columns of training (others are ignored), or where an example is one
    thing (a text, a molecule, a picture) a list of these. Nothing of them needs to have been seen in training.
    """

    def __init__(self, model: TrainedModel | Translator, encoder: Reader, target: str) -> None:
        self.model, self.encoder, self.target = model, encoder, target

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes; none where something else is predicted."""
        return () if isinstance(self.model, Translator) else self.model.preprocessing.target.names

    def predict(self, examples: Any) -> NDArray[Any]:
        """The classes' names, the numbers, or the texts that a translator writes: (n,)."""
        if isinstance(self.model, Translator):
            texts = as_texts(self.encoder.as_frame(examples), self.encoder.to_json()["source"])
            return np.array(self.model(texts), dtype=object)
        found = self._outputs(examples)
        return np.array(self.classes)[found.argmax(1)] if self.classes else found

    def predict_proba(self, examples: Any) -> NDArray[np.float64]:
        """The probabilities of the classes: (n, n_classes). UserError where there are no classes."""
        if not self.classes:
            raise UserError("a model of no classes has no probabilities; use predict")
        return self._outputs(examples)

    def _outputs(self, examples: Any) -> NDArray[Any]:
        assert isinstance(self.model, TrainedModel)
        assert isinstance(self.encoder, Encoder)
        rules = self.model.preprocessing
        arrays = self.encoder.encode(self.encoder.as_frame(examples))
        x = torch.from_numpy(arrays[self.encoder.views[rules.model]])
        outputs = [self.model(part) for part in torch.split(x, SCORING_BATCH)]
        if not len(x):
            return np.zeros((0, len(self.classes))) if self.classes else np.zeros(0)
        return rules.target.predictions(torch.cat(outputs))


def load_predictor(folder: Path) -> Predictor:
    """The model in a folder. UserError where there is none of a run on own data."""
    if not (folder / ENCODER).is_file():
        raise UserError(f"{str(folder)!r} holds no model of a run on own data: there is no {ENCODER} in it")
    encoder, facts = load_encoder(folder)
    model = load_translator(folder) if encoder.kind == "pairs" else load_model(folder)
    return Predictor(model, encoder, facts["target"])
