"""Decoding of an encoder-decoder: greedy and beam search."""

import torch
from torch import Tensor

from automl.data.tokens import BEGIN, END, PADDING, UNKNOWN
from automl.models.seq2seq import EncoderDecoder

NEVER_GENERATED = (PADDING, UNKNOWN, BEGIN)
CHECK_EVERY = 8  # steps on a GPU between checks whether all sequences have ended, each of which waits for it


@torch.inference_mode()
def greedy(model: EncoderDecoder, source: Tensor, max_length: int) -> Tensor:
    """The most probable token at each step, (batch, <= max_length); END and then PADDING after a complete sequence."""
    state = model.begin(source)
    token = torch.full((len(source),), BEGIN, device=source.device)
    ended = torch.zeros(len(source), dtype=torch.bool, device=source.device)
    generated: list[Tensor] = []
    while len(generated) < max_length and not all_ended(ended, len(generated)):
        logits, state = model.step(state, token)
        token = allowed(logits).argmax(1).masked_fill(ended, PADDING)
        ended = ended | (token == END)
        generated.append(token)
    return without_padding(torch.stack(generated, 1))


@torch.inference_mode()
def beam_search(
    model: EncoderDecoder, source: Tensor, max_length: int, *, width: int, length_penalty: float = 0.0
) -> Tensor:
    """The best sequence of a beam search with `width` beams, (batch, <= max_length).

    The best has the highest log probability divided by its length, including END, to the power of length_penalty
    (0: the most probable sequence; 1: the highest mean log probability of the tokens).
    """
    n = len(source)
    state = tuple(part.repeat_interleave(width, 0) for part in model.begin(source))
    first = torch.arange(n, device=source.device)[:, None] * width  # the index of an example's first beam
    # All beams of an example are equal at first, so only one of them counts.
    scores = torch.full((n, width), -torch.inf, device=source.device)
    scores[:, 0] = 0.0
    sequences = torch.full((n, width, 1), BEGIN, device=source.device)
    ended = torch.zeros(n, width, dtype=torch.bool, device=source.device)
    while sequences.shape[2] <= max_length and not all_ended(ended, sequences.shape[2] - 1):
        logits, state = model.step(state, sequences[:, :, -1].flatten())
        gains = allowed(logits).log_softmax(1).reshape(n, width, -1)
        # A complete sequence has one continuation, at no cost.
        gains = gains.masked_fill(ended[:, :, None], -torch.inf)
        gains[:, :, PADDING] = torch.where(ended, 0.0, -torch.inf)
        scores, best = (scores[:, :, None] + gains).flatten(1).topk(width)
        parent, token = best // gains.shape[2], best % gains.shape[2]
        state = tuple(part[(first + parent).flatten()] for part in state)
        sequences = torch.cat([sequences.gather(1, parent[:, :, None].expand_as(sequences)), token[:, :, None]], 2)
        ended = ended.gather(1, parent) | (token == END)
    lengths = (sequences[:, :, 1:] != PADDING).sum(2)
    best = (scores / lengths**length_penalty).argmax(1)
    return without_padding(sequences[torch.arange(n, device=source.device), best, 1:])


def all_ended(ended: Tensor, n_steps: int) -> bool:
    """Whether all sequences are known to have ended after ``n_steps``."""
    return (ended.device.type == "cpu" or n_steps % CHECK_EVERY == 0) and bool(ended.all())


def without_padding(sequences: Tensor) -> Tensor:
    """Drop the columns that are padding in all sequences: the steps after the last one has ended."""
    return sequences[:, : max(1, int((sequences != PADDING).any(0).sum()))]


def allowed(logits: Tensor) -> Tensor:
    """The logits with the tokens that are never generated masked."""
    logits = logits.clone()
    for token in NEVER_GENERATED:  # a list of them as an index would be copied to the device
        logits[:, token] = -torch.inf
    return logits
