"""Encoder-decoder networks from one sentence of tokens to another: recurrent with attention, and Transformer.

Both give the logits of every next token at once when the sentence so far is known, as in training, and translate by
beam search.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from automl.data.inputs import Tokens
from automl.data.sentences import BEGIN, END, FILLING, Sentences


class Seq2Seq(nn.Module):
    """(batch, length) source tokens, their mask, (batch, steps) target tokens so far -> (batch, steps, n_tokens)."""

    def __init__(self, source: Tokens, target: Sentences, width: int) -> None:
        super().__init__()
        self.longest = target.length
        self.source = nn.Embedding(source.n_tokens, width, padding_idx=FILLING)
        self.target = nn.Embedding(target.n_tokens, width, padding_idx=FILLING)
        for table in (self.source, self.target):
            nn.init.normal_(table.weight, std=width**-0.5)
        # The output shares its vectors with the target's embedding (Press & Wolf 2017).
        self.bias = nn.Parameter(torch.zeros(target.n_tokens))

    def encode(self, x: Tensor, mask: Tensor) -> Tensor:
        """(batch, length, features): what the decoder attends to."""
        raise NotImplementedError

    def states(self, memory: Tensor, mask: Tensor, so_far: Tensor) -> Tensor:
        """(batch, steps, width): of each place, what the next token follows from."""
        raise NotImplementedError

    def forward(self, x: Tensor, mask: Tensor, so_far: Tensor) -> Tensor:
        x, mask = trimmed(x, mask)
        return self.logits(self.states(self.encode(x, mask), mask, so_far))

    def logits(self, states: Tensor) -> Tensor:
        return F.linear(states, self.target.weight, self.bias)

    @torch.inference_mode()
    def translate(self, x: Tensor, mask: Tensor, beam: int) -> Tensor:
        """(batch, length): the likeliest sentences found by beam search, by the mean logarithm a token; 1 is greedy."""
        x, mask = trimmed(x, mask)
        n, device = len(x), x.device
        memory = self.encode(x, mask).repeat_interleave(beam, 0)
        mask = mask.repeat_interleave(beam, 0)
        so_far = torch.full((n * beam, 1), BEGIN, device=device)
        scores = torch.full((n, beam), -torch.inf, device=device)
        scores[:, 0] = 0.0  # the beams of a sentence begin as one
        ended, lengths = torch.zeros(n * beam, dtype=torch.bool, device=device), torch.zeros(n * beam, device=device)
        first = torch.arange(n, device=device)[:, None] * beam
        for _ in range(self.longest):
            next_token = self.logits(self.states(memory, mask, so_far)[:, -1]).float().log_softmax(-1)
            next_token[:, [FILLING, BEGIN]] = -torch.inf
            next_token[ended] = -torch.inf
            next_token[ended, FILLING] = 0.0  # an ended sentence goes on with nothing, at no cost
            n_tokens = next_token.shape[1]
            sums = (scores[:, :, None] + next_token.view(n, beam, n_tokens)).flatten(1)
            # By the mean, here too: a sum would crowd out all sentences by those that ended at once.
            counts = (lengths + ~ended).view(n, beam, 1).expand(n, beam, n_tokens).flatten(1)
            found = (sums / counts).topk(beam).indices
            scores = sums.gather(1, found)
            parents, tokens = (first + found // n_tokens).flatten(), (found % n_tokens).flatten()
            so_far = torch.cat([so_far[parents], tokens[:, None]], 1)
            lengths = lengths[parents] + ~ended[parents]
            ended = ended[parents] | (tokens == END)
            if ended.all():
                break
        best = (scores / lengths.view(n, beam)).argmax(1)
        return so_far.view(n, beam, -1)[torch.arange(n, device=device), best, 1:]


class Recurrent(Seq2Seq):
    """GRUs with Luong et al.'s (2015) global attention.

    config: width, layers, dropout.
    """

    def __init__(self, config: Mapping[str, Any], source: Tokens, target: Sentences) -> None:
        width, layers = config["width"], config["layers"]
        super().__init__(source, target, width)
        between = config["dropout"] if layers > 1 else 0.0
        self.reader = nn.GRU(width, width, layers, batch_first=True, bidirectional=True, dropout=between)
        self.memory = nn.Linear(2 * width, width)
        self.start = nn.Linear(width, layers * width)
        self.writer = nn.GRU(width, width, layers, batch_first=True, dropout=between)
        self.attend = nn.Linear(width, width, bias=False)
        self.join = nn.Linear(2 * width, width)
        self.dropout, self.layers = nn.Dropout(config["dropout"]), layers

    def encode(self, x: Tensor, mask: Tensor) -> Tensor:
        lengths = mask.sum(1).clamp(min=1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(
            self.dropout(self.source(x)), lengths, batch_first=True, enforce_sorted=False
        )
        read, _ = nn.utils.rnn.pad_packed_sequence(self.reader(packed)[0], batch_first=True, total_length=x.shape[1])
        memory: Tensor = self.memory(read)
        return memory

    def states(self, memory: Tensor, mask: Tensor, so_far: Tensor) -> Tensor:
        there = mask[:, :, None]
        summary = (memory * there).sum(1) / there.sum(1).clamp(min=1)
        start = torch.tanh(self.start(summary)).view(len(memory), self.layers, -1).transpose(0, 1).contiguous()
        states, _ = self.writer(self.dropout(self.target(so_far)), start)
        weights = (self.attend(states) @ memory.transpose(1, 2)).masked_fill(~mask[:, None], -1e9).softmax(-1)
        joined: Tensor = self.dropout(torch.tanh(self.join(torch.cat([weights @ memory, states], -1))))
        return joined


class Transformer(Seq2Seq):
    """Vaswani et al. (2017), with the norms first.

    config: width, layers, heads, dropout.
    """

    def __init__(self, config: Mapping[str, Any], source: Tokens, target: Sentences) -> None:
        width, heads, dropout = config["width"], config["heads"], config["dropout"]
        super().__init__(source, target, width)
        self.scale, self.dropout = math.sqrt(width), nn.Dropout(dropout)
        places = torch.empty(max(source.length, target.length) + 1, width)
        self.position = nn.Parameter(nn.init.normal_(places, std=0.02))
        kinds = {"batch_first": True, "norm_first": True}
        encoder = nn.TransformerEncoderLayer(width, heads, 4 * width, dropout, **kinds)  # type: ignore[arg-type]
        decoder = nn.TransformerDecoderLayer(width, heads, 4 * width, dropout, **kinds)  # type: ignore[arg-type]
        self.reader = nn.TransformerEncoder(encoder, config["layers"], nn.LayerNorm(width), enable_nested_tensor=False)
        self.writer = nn.TransformerDecoder(decoder, config["layers"], nn.LayerNorm(width))
        for part in (self.reader, self.writer):
            for weight in part.parameters():
                if weight.ndim > 1:  # the blocks are copies of the first; each shall start on its own
                    nn.init.xavier_uniform_(weight)

    def placed(self, vectors: Tensor) -> Tensor:
        placed: Tensor = self.dropout(vectors * self.scale + self.position[: vectors.shape[1]])
        return placed

    def encode(self, x: Tensor, mask: Tensor) -> Tensor:
        memory: Tensor = self.reader(self.placed(self.source(x)), src_key_padding_mask=~mask)
        return memory

    def states(self, memory: Tensor, mask: Tensor, so_far: Tensor) -> Tensor:
        steps = so_far.shape[1]
        later = torch.ones(steps, steps, dtype=torch.bool, device=so_far.device).triu(1)
        states: Tensor = self.writer(
            self.placed(self.target(so_far)), memory, tgt_mask=later, memory_key_padding_mask=~mask
        )
        return states


NETWORKS = {"rnn": Recurrent, "transformer": Transformer}


def trimmed(x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Cut to the longest of the batch; of an empty sentence the first place counts, attention needs one."""
    longest = max(1, int(mask.sum(1).max()))
    x, mask = x[:, :longest], mask[:, :longest].clone()
    mask[:, 0] = True
    return x, mask
