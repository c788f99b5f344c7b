"""A trained causal Transformer with its vocabulary, and its three files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from automl.data.vocabularies import Symbols
from automl.models.causal_transformer import CausalTransformer
from automl.models.description import read_description, write_description

BATCH_CHARACTERS = 4_096  # small enough for a core's cache


@dataclass(frozen=True)
class TrainedLanguageModel:
    """Predicts each character of a text from those before it."""

    module: CausalTransformer
    config: Mapping[str, Any]
    characters: Symbols

    def log2_probabilities(self, numbers: Tensor) -> NDArray[np.float64]:
        """The log2 probability of each character of a text, (n,), given at least half of the context length before it.

        The text is read in windows of the context length that overlap by half; the second half of each counts.
        The text is padded in front with PADDING.
        """
        context, half = self.config["context"], self.config["context"] // 2
        padded = F.pad(numbers, (half + 1, -len(numbers) % half))  # starts with half a window that does not count
        windows = padded.unfold(0, 2 * half + 1, half)
        self.module.eval()
        found = []
        with torch.inference_mode():
            for part in torch.split(windows, max(1, BATCH_CHARACTERS // context)):
                logits = self.module(part[:, :-1])[:, half:]
                gains = logits.float().log_softmax(2).gather(2, part[:, half + 1 :, None])
                found.append(gains.flatten().double().cpu())
        log2: NDArray[np.float64] = torch.cat(found)[: len(numbers)].numpy() / np.log(2)
        return log2

    def save(self, folder: Path) -> None:
        """Write model.safetensors, config.json and preprocessing.json."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.module.state_dict(), folder / "model.safetensors")
        write_description(folder, self.config, {"model": "language", "characters": self.characters.to_json()})


def load_language_model(folder: Path) -> TrainedLanguageModel:
    """Load a model written by ``save``, on the CPU."""
    config, rules = read_description(folder)
    characters = Symbols(rules["characters"]["symbols"], "")
    with torch.random.fork_rng([]):  # initial weights are drawn, then overwritten: keep the caller's generator state
        module = CausalTransformer(config, len(characters))
    module.load_state_dict(load_file(folder / "model.safetensors"))
    return TrainedLanguageModel(module, config, characters)
