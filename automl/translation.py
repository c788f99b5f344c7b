"""How good the translations of a model are."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from automl.data.sentences import FILLING, TRANSLATED, Sentences
from automl.models.trained import TrainedNetwork

BATCH = 100
BEAM = 4  # sentences that are followed at a time, in the end; one after each epoch


@torch.inference_mode()
def score_sentences(model: TrainedNetwork, x: Tensor, y: Tensor, *, quickly: bool) -> dict[str, float]:
    """Cross-entropy of the right next tokens, and metrics of the translations. Quickly: of the first, greedily."""
    target = model.preprocessing.target
    assert isinstance(target, Sentences)
    model.module.eval()
    total, n = 0.0, 0
    for part, wanted in zip(torch.split(x, BATCH), torch.split(y, BATCH), strict=True):
        logits = model.forward(part, wanted).float()
        labels = wanted.flatten().long()
        total += F.cross_entropy(logits.flatten(0, 1), labels, ignore_index=FILLING, reduction="sum").item()
        n += int((labels != FILLING).sum())
    if quickly:
        x, y = x[:TRANSLATED], y[:TRANSLATED]
    found = translated(model, x, 1 if quickly else BEAM)
    return target.scores(total / max(1, n), target.texts(found.cpu().numpy()), target.texts(y.cpu().numpy()))


def translated(model: TrainedNetwork, x: Tensor, beam: int) -> Tensor:
    """(n, length) tokens of the target for (n, length) of the source."""
    target = model.preprocessing.target
    assert isinstance(target, Sentences)
    model.module.eval()
    inputs = model.preprocessing.inputs
    parts = [model.module.translate(inputs(part), inputs.mask(part), beam) for part in torch.split(x, BATCH)]  # type: ignore[operator]
    return torch.cat([F.pad(part, (0, target.length - part.shape[1])) for part in parts])
