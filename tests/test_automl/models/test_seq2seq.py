"""Encoder-decoders: what they may see, and beam search checked against enumerated sequences."""

import itertools

import pytest
import torch

from automl.data.tokens import BEGIN, END, PADDING
from automl.models.decoding import beam_search, greedy
from automl.models.seq2seq import EncoderDecoder, build_seq2seq

CONFIGS = [
    ("rnn", {"cell": "gru", "embedding": 8, "width": 16, "layers": 1, "dropout": 0.0}),
    ("rnn", {"cell": "lstm", "embedding": 8, "width": 16, "layers": 2, "dropout": 0.1}),
    ("transformer", {"width": 16, "layers": 2, "heads": 2, "dropout": 0.1}),
]


@pytest.fixture(params=CONFIGS, ids=lambda each: f"{each[0]}-{each[1].get('cell', '')}")
def model(request):
    torch.manual_seed(0)
    return build_seq2seq(*request.param, 9, 8, 12).eval()


@pytest.fixture
def source():
    return torch.tensor([[4, 5, 6, 7, 8], [5, 4, 0, 0, 0], [8, 0, 0, 0, 0]])


TARGET = torch.tensor([[BEGIN, 4, 5, 6], [BEGIN, 7, 4, 4], [BEGIN, 5, END, 0]])


def test_a_logit_for_each_next_token_and_every_weight_learns(model, source):
    logits = model.train()(source, TARGET)
    assert logits.shape == (3, 4, 8)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert all(p.grad.abs().sum() > 0 for p in model.parameters() if p.ndim > 1)


def test_what_is_filled_up_is_not_seen(model, source):
    longer = torch.cat([source, torch.zeros(3, 4, dtype=torch.long)], 1)
    assert torch.allclose(model(longer, TARGET), model(source, TARGET), atol=1e-5)
    alone = model(source[1:2, :2], TARGET[1:2])
    assert torch.allclose(model(source, TARGET)[1:2], alone, atol=1e-5)


def test_the_future_is_not_seen(model, source):
    other = TARGET.clone()
    other[:, 2:] = torch.tensor([7, 7])
    before, after = model(source, TARGET), model(source, other)
    assert torch.allclose(before[:, :2], after[:, :2], atol=1e-5)
    assert not torch.allclose(before[:, 2:], after[:, 2:], atol=1e-3)


def test_source_and_order_matter(model, source):
    turned = source[:1].flip(1)
    assert not torch.allclose(model(source[:1], TARGET[:1]), model(turned, TARGET[:1]), atol=1e-4)


def test_steps_give_what_teacher_forcing_gives(model, source):
    state, told = model.begin(source), model(source, TARGET)
    for i in range(TARGET.shape[1]):
        logits, state = model.step(state, TARGET[:, i])
        assert torch.allclose(logits, told[:, i], atol=1e-5)


def test_a_beam_of_one_is_greedy(model, source):
    for length in (1, 3, 8):
        said, beam = greedy(model, source, length), beam_search(model, source, length, width=1)
        assert torch.equal(said, beam)


def log_probability(model, source, sequence):
    """Of a sequence without BEGIN, among the tokens that a sequence is made of."""
    told = torch.tensor([[BEGIN, *sequence]])
    logits = model(source, told)[0, :-1].clone()
    logits[:, [PADDING, 1, BEGIN]] = -torch.inf
    gains = logits.log_softmax(1)
    return sum(gains[i, token].item() for i, token in enumerate(sequence))


@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_a_wide_beam_finds_the_best_of_all_sequences(model, source, length_penalty):
    tokens, length = (4, 5, 6, 7), 3
    every = [(*body, END) for n in range(length) for body in itertools.product(tokens, repeat=n)]
    every += list(itertools.product(tokens, repeat=length))  # those that are cut off
    for example in (source[:1], source[1:2]):
        best = max(every, key=lambda s: log_probability(model, example, s) / len(s) ** length_penalty)
        [found] = beam_search(model, example, length, width=200, length_penalty=length_penalty).tolist()
        assert [token for token in found if token != PADDING] == list(best)


def test_a_batch_gives_what_each_gives_alone(model, source):
    together = beam_search(model, source, 6, width=3)
    for i in range(3):
        alone = beam_search(model, source[i : i + 1], 6, width=3)[0].tolist()
        assert together[i].tolist()[: len(alone)] == alone
        assert not any(together[i].tolist()[len(alone) :])


class Chain(EncoderDecoder):
    """Says what a table tells after each token, whatever the source."""

    def __init__(self, table):
        super().__init__()
        self.table = table

    def forward(self, source, target):
        raise NotImplementedError

    def begin(self, source):
        return (source,)

    def step(self, state, token):
        return self.table[token], state


def test_a_beam_goes_round_a_greedy_trap():
    # 4 is a little likelier than 5 at first, but then END has 0.4 and after 5 it is sure.
    p = torch.full((8, 8), 1e-9)
    p[BEGIN, 4], p[BEGIN, 5] = 0.55, 0.45
    p[4, END], p[4, 6], p[4, 7] = 0.4, 0.3, 0.3
    p[5, END] = p[6, END] = p[7, END] = 1.0
    chain, source = Chain(p.log()), torch.zeros(2, 1, dtype=torch.long)
    assert greedy(chain, source, 5).tolist() == [[4, END]] * 2
    assert [row[:2] for row in beam_search(chain, source, 5, width=2).tolist()] == [[5, END]] * 2


def test_a_length_penalty_prefers_longer_sequences():
    p = torch.full((8, 8), 1e-9)
    p[BEGIN, END], p[BEGIN, 4] = 0.6, 0.4
    p[4, END] = 1.0
    chain, source = Chain(p.log()), torch.zeros(1, 1, dtype=torch.long)
    assert beam_search(chain, source, 5, width=3)[0, 0] == END
    # -0.92 over two tokens is less than -0.51 over one.
    assert beam_search(chain, source, 5, width=3, length_penalty=1.0)[0, :2].tolist() == [4, END]


def test_complete_sequences_stay_as_they_are():
    p = torch.full((8, 8), 1e-9)
    p[BEGIN, END], p[BEGIN, 4], p[4, 4], p[4, END] = 0.7, 0.3, 0.5, 0.5
    chain, source = Chain(p.log()), torch.zeros(1, 1, dtype=torch.long)
    found = beam_search(chain, source, 4, width=2)[0].tolist()
    assert found[0] == END
    assert not any(found[1:])


def test_lengths_that_are_known_change_nothing(model, source):
    assert torch.equal(model(source, TARGET, torch.tensor([5, 2, 1])), model(source, TARGET))


def test_looking_seldom_whether_all_have_ended_changes_nothing(model, source, monkeypatch):
    often = greedy(model, source, 20 if hasattr(model, "match") else 11), beam_search(model, source, 11, width=3)
    monkeypatch.setattr("automl.models.decoding.all_ended", lambda ended, n: n % 8 == 0 and bool(ended.all()))
    seldom = greedy(model, source, 20 if hasattr(model, "match") else 11), beam_search(model, source, 11, width=3)
    assert all(torch.equal(one, other) for one, other in zip(often, seldom, strict=True))
