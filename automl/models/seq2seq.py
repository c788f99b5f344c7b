"""Encoder-decoders from token sequences to token sequences: recurrent with attention, and Transformer.

Sequences are token ids (batch, length), padded with PADDING. Targets begin with BEGIN and end with END.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from automl.data.tokens import PADDING
from automl.models.packing import read_packed

State = tuple[Tensor, ...]  # of a decoder; batch first in each


class EncoderDecoder(nn.Module, ABC):
    """The interface of a sequence-to-sequence network."""

    @abstractmethod
    def forward(self, source: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(batch, target length, n_target): logits of the token after each one of target (teacher forcing).

        Those after the i-th depend only on the first i tokens of target, and none depend on padding. ``lengths``: of
        the sources, on the CPU; if given, there is no need to wait for the GPU to compute them.
        """

    @abstractmethod
    def begin(self, source: Tensor) -> State:
        """The state before the first token."""

    @abstractmethod
    def step(self, state: State, token: Tensor) -> tuple[Tensor, State]:
        """From the latest token (batch,) of each sequence: logits (batch, n_target) of the next, and the new state."""


class Recurrent(EncoderDecoder):
    """A bidirectional encoder and a decoder with attention (Luong et al. 2015, global, general).

    config: cell (gru or lstm), embedding, width (of the decoder; half of it per direction of the encoder), layers,
    dropout (on embeddings, between layers and before the output).
    """

    def __init__(self, config: Mapping[str, Any], n_source: int, n_target: int) -> None:
        super().__init__()
        width, layers, self.is_lstm = config["width"], config["layers"], config["cell"] == "lstm"
        cell = nn.LSTM if self.is_lstm else nn.GRU
        between = config["dropout"] if layers > 1 else 0.0  # torch warns about dropout with a single layer
        self.dropout = nn.Dropout(config["dropout"])
        self.source_vectors = nn.Embedding(n_source, config["embedding"], padding_idx=PADDING)
        self.target_vectors = nn.Embedding(n_target, config["embedding"], padding_idx=PADDING)
        self.encoder = cell(
            config["embedding"], width // 2, layers, batch_first=True, bidirectional=True, dropout=between
        )
        self.decoder = cell(config["embedding"], width, layers, batch_first=True, dropout=between)
        self.match = nn.Linear(width, width, bias=False)
        self.combine = nn.Linear(2 * width, width)
        self.head = nn.Linear(width, n_target)

    def forward(self, source: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        memory, mask, *hidden = self.begin(source, lengths)
        return self.decode(memory, mask, hidden, target)[0]

    def begin(self, source: Tensor, lengths: Tensor | None = None) -> State:
        mask = source != PADDING
        lengths = mask.sum(1).cpu() if lengths is None else lengths
        memory, last = read_packed(self.encoder, self.dropout(self.source_vectors(source)), lengths)
        # (layers * 2, batch, width / 2) -> (batch, layers, width): both directions initialise the decoder's layer.
        both = [torch.unflatten(part, 0, (-1, 2)).permute(2, 0, 1, 3).flatten(2) for part in last]
        return memory, mask, *both

    def step(self, state: State, token: Tensor) -> tuple[Tensor, State]:
        memory, mask, *hidden = state
        logits, hidden = self.decode(memory, mask, hidden, token[:, None])
        return logits[:, 0], (memory, mask, *hidden)

    def decode(self, memory: Tensor, mask: Tensor, hidden: list[Tensor], target: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits after each token of target, and the hidden states (batch, layers, width) after the last one."""
        layers_first = [part.transpose(0, 1).contiguous() for part in hidden]
        embedded = self.dropout(self.target_vectors(target))
        states, last = self.decoder(embedded, tuple(layers_first) if self.is_lstm else layers_first[0])
        scores = self.match(states) @ memory.transpose(1, 2)
        weights = scores.masked_fill(~mask[:, None], -torch.inf).softmax(2)
        seen = torch.tanh(self.combine(torch.cat([weights @ memory, states], 2)))
        return self.head(self.dropout(seen)), [part.transpose(0, 1) for part in (last if self.is_lstm else [last])]


class TransformerSeq2Seq(EncoderDecoder):
    """Vaswani et al. 2017 with the norm before each block (Xiong et al. 2020) and learned positions.

    config: width, layers (of either side), heads, dropout. max_length: the longest sequence of either side.
    """

    def __init__(self, config: Mapping[str, Any], n_source: int, n_target: int, max_length: int) -> None:
        super().__init__()
        width, heads, dropout = config["width"], config["heads"], config["dropout"]
        self.dropout = nn.Dropout(dropout)
        self.source_vectors = nn.Embedding(n_source, width, padding_idx=PADDING)
        self.target_vectors = nn.Embedding(n_target, width, padding_idx=PADDING)
        self.source_places = nn.Parameter(torch.empty(max_length, width).normal_(std=0.02))
        self.target_places = nn.Parameter(torch.empty(max_length, width).normal_(std=0.02))
        encoder = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout, "gelu", batch_first=True, norm_first=True
        )
        decoder = nn.TransformerDecoderLayer(
            width, heads, 4 * width, dropout, "gelu", batch_first=True, norm_first=True
        )
        # Dropout on attention weights would rule out torch's fused attention.
        encoder.self_attn.dropout = decoder.self_attn.dropout = decoder.multihead_attn.dropout = 0.0
        self.encoder = nn.TransformerEncoder(encoder, config["layers"], nn.LayerNorm(width), enable_nested_tensor=False)
        self.decoder = nn.TransformerDecoder(decoder, config["layers"], nn.LayerNorm(width))
        self.head = nn.Linear(width, n_target)
        for module in (self.encoder, self.decoder):
            for weight in module.parameters():
                # Both copy their first block, including its weights: initialise each block separately.
                if weight.ndim > 1:
                    nn.init.xavier_uniform_(weight)
        for vectors in (self.source_vectors, self.target_vectors):
            nn.init.normal_(vectors.weight[1:], std=width**-0.5)

    def forward(self, source: Tensor, target: Tensor, lengths: Tensor | None = None) -> Tensor:
        memory, mask, *_ = self.begin(source)
        length = target.shape[1]
        later = torch.ones(length, length, dtype=torch.bool, device=target.device).triu(1)
        embedded = self.dropout(self.target_vectors(target) + self.target_places[:length])
        seen = self.decoder(embedded, memory, tgt_mask=later, memory_key_padding_mask=~mask, tgt_is_causal=True)
        logits: Tensor = self.head(seen)
        return logits

    def begin(self, source: Tensor) -> State:
        mask = source != PADDING
        embedded = self.source_vectors(source) + self.source_places[: source.shape[1]]
        memory = self.encoder(self.dropout(embedded), src_key_padding_mask=~mask)
        return memory, mask, *(memory[:, :0] for _ in self.decoder.layers)

    def step(self, state: State, token: Tensor) -> tuple[Tensor, State]:
        """As forward, for one position: each block caches its inputs so far instead of recomputing them."""
        memory, mask, *read = state
        x = (self.target_vectors(token) + self.target_places[read[0].shape[1]])[:, None]
        for i, block in enumerate(self.decoder.layers):
            read[i] = torch.cat([read[i], block.norm1(x)], 1)
            x = x + block.self_attn(read[i][:, -1:], read[i], read[i], need_weights=False)[0]
            asked = block.norm2(x)
            x = x + block.multihead_attn(asked, memory, memory, key_padding_mask=~mask, need_weights=False)[0]
            x = x + block.linear2(block.activation(block.linear1(block.norm3(x))))
        norm = self.decoder.norm
        assert norm is not None
        logits: Tensor = self.head(norm(x[:, 0]))
        return logits, (memory, mask, *read)


def build_seq2seq(
    family: str, config: Mapping[str, Any], n_source: int, n_target: int, max_length: int
) -> EncoderDecoder:
    """family: rnn or transformer."""
    if family == "rnn":
        return Recurrent(config, n_source, n_target)
    assert family == "transformer", family
    return TransformerSeq2Seq(config, n_source, n_target, max_length)
