"""A trained encoder-decoder with its vocabularies, and its three files."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from automl.data.batches import by_length
from automl.data.pairs import Rows, rows
from automl.data.tokens import END, PADDING
from automl.data.vocabularies import Vocabulary, vocabulary_from_json
from automl.errors import UserError
from automl.models import own_config
from automl.models.decoding import beam_search, greedy
from automl.models.description import read_description, write_description
from automl.models.seq2seq import EncoderDecoder, build_seq2seq

BEAM, LENGTH_PENALTY = 4, 1.0

BATCH_SIZE = 250  # texts per batch


@dataclass(frozen=True)
class Translator:
    """Texts in, texts out."""

    module: EncoderDecoder
    config: Mapping[str, Any]
    family: str  # rnn or transformer
    source: Vocabulary
    target: Vocabulary
    max_length: int  # tokens of a sequence, including BEGIN and END

    def __call__(self, texts: Sequence[str], *, beam: int = BEAM) -> list[str]:
        """Translate by beam search; a beam of 1 is greedy, less a UserError. Warns of texts that are too long."""
        if beam < 1:
            raise UserError(f"the beam must be at least 1, got {beam}")
        source = rows(self.source, texts, self.max_length)
        # A text that was cut lacks its END.
        if n_cut := int((~np.isin(source[:, -1:], (END, PADDING))).sum()):
            warnings.warn(
                f"{n_cut:,} of {len(texts):,} texts are longer than {self.max_length - 1} tokens and translated up to "
                "there",
                UserWarning,
                stacklevel=2,
            )
        return self.write(source, beam=beam)

    def write(self, source: Rows, *, beam: int) -> list[str]:
        """Translate source token ids (n, length), as made by automl.data.pairs."""
        device = next(self.module.parameters()).device
        self.module.eval()
        tokens, longest = torch.from_numpy(source), self.max_length - 1
        translations = [""] * len(tokens)
        for places in by_length(lengths(tokens), BATCH_SIZE) if len(tokens) else ():
            given = filled_only(tokens[places]).to(device)
            found = (
                greedy(self.module, given, longest)
                if beam == 1
                else beam_search(self.module, given, longest, width=beam, length_penalty=LENGTH_PENALTY)
            )
            for place, numbers in zip(places.tolist(), found.tolist(), strict=True):
                translations[place] = self.target.decode(numbers)
        return translations

    def save(self, folder: Path) -> None:
        """Write model.safetensors, config.json and preprocessing.json."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.module.state_dict(), folder / "model.safetensors")
        rules = {
            "model": f"seq2seq-{self.family}",
            "source": self.source.to_json(),
            "target": self.target.to_json(),
            "max_length": self.max_length,
        }
        write_description(folder, self.config, rules)


def build_translator(
    family: str, config: Mapping[str, Any], source: Vocabulary, target: Vocabulary, max_length: int
) -> Translator:
    """A translator with random weights."""
    module = build_seq2seq(family, own_config(family, config), len(source), len(target), max_length)
    return Translator(module, config, family, source, target, max_length)


def load_translator(folder: Path) -> Translator:
    """Load a translator written by ``save``, on the CPU."""
    config, rules = read_description(folder)
    source, target = (vocabulary_from_json(rules[side]) for side in ("source", "target"))
    with torch.random.fork_rng([]):  # initial weights are drawn, then overwritten: keep the caller's generator state
        translator = build_translator(
            rules["model"].removeprefix("seq2seq-"), config, source, target, rules["max_length"]
        )
    translator.module.load_state_dict(load_file(folder / "model.safetensors"))
    return translator


def filled_only(tokens: Tensor, known: Tensor | None = None) -> Tensor:
    """The tokens without the columns after the longest sequence. ``known``: the lengths, if already known."""
    return tokens[:, : max(1, int((lengths(tokens) if known is None else known).max()))]


def lengths(tokens: Tensor) -> Tensor:
    """The lengths (n,) of padded sequences (n, length)."""
    return (tokens != PADDING).sum(1)
