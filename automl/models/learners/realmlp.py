"""RealMLP-TD, a multilayer perceptron with tuned defaults for tables.

D. Holzmueller, L. Grinsztajn, I. Steinwart, Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on Tabular Data
(NeurIPS 2024). Unlike there, labels are not smoothed, because that worsens the log loss.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from automl.data.inputs import Columns
from automl.data.targets import Classes, Target
from automl.models.learners.base import Learner, Rounds, Rows
from automl.models.learners.realmlp_encoding import NumberRange, RealMLPEncoding

if TYPE_CHECKING:
    from automl.models.learners.realmlp_network import Network, Sizes

# The paper's presets, but with half the width and half the epochs: a quarter of the time on a CPU.
SPACE: dict[str, Any] = {
    "width": {"ordinal": [64, 128, 256], "default": 128},
    "epochs": {"ordinal": [64, 128, 256], "default": 128},
    "dropout": {"float": [0.0, 0.5], "default": 0.15},
    "weight_decay": {"float": [1e-3, 0.2], "log": True, "default": 0.02},
}
LR_OF_CLASSES: dict[str, Any] = {"float": [0.01, 0.2], "log": True, "default": 0.04}
# The paper has 0.2, with twice the epochs.
LR_OF_NUMBERS: dict[str, Any] = {"float": [0.03, 0.4], "log": True, "default": 0.15}


class RealMLP(Learner):
    """Three hidden layers over embeddings; the weights of the best epoch are kept.

    config: width, epochs, lr, dropout, weight_decay.
    """

    is_bagged: ClassVar[bool] = True
    share_of_seconds: ClassVar[float | None] = 0.6
    keeps_best: ClassVar[bool] = True
    runtime: ClassVar[str] = "torch"

    def __init__(self, config: Mapping[str, Any], inputs: Columns, target: Target, seed: int) -> None:
        super().__init__(config, inputs, target, seed)
        self._encoding: RealMLPEncoding
        self._range: NumberRange
        self._network: Network

    @classmethod
    def space(cls, *, classes: bool, with_levels: bool) -> dict[str, Any]:
        """The search space in the short form; its defaults are the preset."""
        return {"lr": LR_OF_CLASSES if classes else LR_OF_NUMBERS, **SPACE}

    def fit(self, train: Rows, valid: Rows | None = None, rounds: Rounds = ()) -> None:
        import torch

        from automl.models.device import isolated
        from automl.models.learners.realmlp_training import Encoded, fit_network

        start = time.perf_counter()  # after the imports, which take longer than a fold's share of a short limit
        self._encoding = RealMLPEncoding.of(train.x, self.inputs)
        self._range = NumberRange.of(train.y)

        def encoded(rows: Rows) -> Encoded:
            y = rows.y.astype(np.int64) if self._is_classes else self._range.standardised(rows.y)
            weights = None if rows.weights is None else torch.from_numpy(rows.weights / rows.weights.mean())
            x, codes = map(torch.from_numpy, self._encoding(rows.x))
            return Encoded(x, codes, torch.from_numpy(y), weights)

        with isolated(torch.device("cpu")), torch.inference_mode():
            scored = None if valid is None else encoded(valid)
            most = None if self.max_seconds is None else start + self.max_seconds
            self._network, self.rounds = fit_network(
                self._sizes(), self.config, encoded(train), scored, rounds, self.seed, most, self.aborts_if_late
            )

    def predict(self, x: NDArray[Any]) -> NDArray[np.float64]:
        import torch

        from automl.models.device import isolated
        from automl.models.learners.realmlp_training import outputs_of

        with isolated(torch.device("cpu")), torch.inference_mode():
            outputs = outputs_of(self._network, *map(torch.from_numpy, self._encoding(x))).double()
            found: NDArray[np.float64] = (outputs.softmax(1) if self._is_classes else outputs[:, 0]).numpy()
        return found if self._is_classes else self._range.original(found)

    def save(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        parameters = {name: tensor.numpy() for name, tensor in self._network.parameters.items()}
        save_file(parameters | self._encoding.arrays(), folder / "model.safetensors")
        fields = {"rounds": self.rounds, "range": self._range._asdict()}
        (folder / "realmlp.json").write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, config: Mapping[str, Any], inputs: Columns, target: Target) -> Self:
        import torch
        from safetensors.numpy import load_file

        from automl.models.learners.realmlp_network import Network

        found = cls(config, inputs, target, seed=0)
        fields = json.loads((folder / "realmlp.json").read_text(encoding="utf-8"))
        arrays = load_file(folder / "model.safetensors")
        found.rounds, found._range = tuple(fields["rounds"]), NumberRange(**fields["range"])
        found._encoding = RealMLPEncoding.from_arrays(arrays, inputs)
        found._network = Network(found._sizes())
        for name, tensor in found._network.parameters.items():
            tensor.copy_(torch.from_numpy(arrays[name]))
        return found

    @property
    def _is_classes(self) -> bool:
        return isinstance(self.target, Classes)

    def _sizes(self) -> Sizes:
        from automl.models.learners.realmlp_network import Sizes

        encoding = self._encoding
        return Sizes(
            encoding.n_numbers, len(encoding.center), encoding.embedded, self.target.n_outputs, self.config["width"],
            self._is_classes,
        )  # fmt: skip
