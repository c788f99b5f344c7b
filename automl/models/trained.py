"""A trained model: a module with what it needs to judge raw examples, and its three files.

model.safetensors (weights alone), config.json and preprocessing.json make one model; nothing is pickled.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from automl.models import build_model


@dataclass(frozen=True)
class Preprocessing:
    """What came before the model in training, and must in use."""

    task: str
    model: str  # one of automl.models.FAMILIES
    shape: tuple[int, ...]  # of one raw example, channels first
    classes: tuple[str, ...]
    mean: tuple[float, ...]  # of each channel, over the training part
    std: tuple[float, ...]

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        tuples = {name: tuple(fields[name]) for name in ("shape", "classes", "mean", "std")}
        return cls(**{**fields, **tuples})

    def __call__(self, x: Tensor) -> Tensor:
        """Raw examples (n, *shape) of any number type, standardised."""
        each = (-1, *(1 for _ in self.shape[1:]))
        mean, std = (torch.tensor(values, device=x.device).reshape(each) for values in (self.mean, self.std))
        return (x.float() - mean) / std


@dataclass(frozen=True)
class TrainedModel:
    """Raw examples (n, *shape) in, logits (n, n_classes) out."""

    module: nn.Module
    config: Mapping[str, Any]
    preprocessing: Preprocessing

    @classmethod
    def rebuild(cls, weights: Mapping[str, Tensor], config: Mapping[str, Any], fields: Mapping[str, Any]) -> Self:
        rules = Preprocessing.from_json(fields)
        with torch.random.fork_rng([]):  # the first weights are drawn, then overwritten: the caller's generator stays
            module = build_model(rules.model, config, rules.shape, len(rules.classes))
        module.load_state_dict(weights)
        return cls(module, config, rules)

    @torch.inference_mode()
    def __call__(self, x: Tensor) -> Tensor:
        logits: Tensor = self.module.eval()(self.preprocessing(x))
        return logits.float()

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.module.state_dict(), folder / "model.safetensors")
        for name, content in (("config", dict(self.config)), ("preprocessing", asdict(self.preprocessing))):
            (folder / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def load_model(folder: Path) -> TrainedModel:
    """The model, on the CPU, that TrainedModel.save left in the folder."""
    config, preprocessing = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in ("config", "preprocessing")
    )
    return TrainedModel.rebuild(load_file(folder / "model.safetensors"), config, preprocessing)
