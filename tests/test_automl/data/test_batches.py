"""Batches of sequences of similar length."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from automl.data.batches import by_length, shuffled


@given(st.integers(1, 400), st.integers(1, 40), st.integers(0, 9))
def test_whole_batches_hold_each_example_once_at_most(n, size, seed):
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(n, generator=generator)
    with torch.random.fork_rng():
        places = shuffled(order, torch.randint(1, 50, (n,), generator=generator), size) if n >= size else order
    assert len(set(places.tolist())) == len(places) == (n // size * size or n)
    assert set(places.tolist()) <= set(range(n))


def test_little_of_a_batch_is_filling_and_epochs_differ():
    torch.manual_seed(0)
    lengths = torch.randint(1, 100, (6_400,))
    epochs = [shuffled(torch.randperm(6_400), lengths, 64).reshape(-1, 64) for _ in range(2)]
    for batches in epochs:
        read = lengths[batches].amax(1).sum() * 64
        assert lengths.sum() > 0.75 * read  # in batches drawn at random it is half
        means = lengths[batches].float().mean(1)
        assert means.std() > 20
        assert abs(means[:50].mean() - means[50:].mean()) < 20  # no short ones first
    assert {tuple(sorted(batch)) for batch in epochs[0].tolist()}.isdisjoint(
        tuple(sorted(batch)) for batch in epochs[1].tolist()
    )


def test_of_few_examples_other_ones_come_together_in_each_epoch():
    torch.manual_seed(0)
    lengths = torch.randint(20, 100, (640,))
    together = []
    for _ in range(2):
        batches = shuffled(torch.randperm(640), lengths, 64).reshape(-1, 64)
        place = torch.empty(640, dtype=torch.long)
        place[batches.flatten()] = torch.arange(10).repeat_interleave(64)
        together.append(place[:, None] == place[None, :])
    again = (together[0] & together[1]).sum() / together[0].sum()
    assert again < 0.4  # sorted by the lengths as they are: 0.9


@pytest.mark.parametrize("size", [1, 7, 100])
def test_all_places_come_shortest_first(size):
    lengths = torch.tensor([3, 1, 2, 3, 1, 9, 4, 4, 4, 5])
    parts = list(by_length(lengths, size))
    assert all(len(part) <= size for part in parts)
    places = torch.cat(parts)
    assert sorted(places.tolist()) == list(range(10))
    assert (lengths[places].diff() >= 0).all()
