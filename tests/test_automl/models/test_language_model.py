"""The causal Transformer: shapes, gradients, and no access to the future."""

import pytest
import torch

from automl.models.causal_transformer import CausalTransformer

CONFIG = {"context": 16, "width": 16, "layers": 2, "heads": 2, "dropout": 0.1}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return CausalTransformer(CONFIG, 11)


def test_a_logit_for_each_next_token_and_every_weight_learns(model):
    logits = model(torch.randint(0, 11, (3, 16)))
    assert logits.shape == (3, 16, 11)
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.randint(0, 11, (48,))).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters() if p.ndim > 1)


def test_the_future_is_not_seen_and_the_past_is(model):
    model.eval()
    tokens = torch.randint(0, 11, (2, 12))
    for changed in (0, 5, 11):
        other = tokens.clone()
        other[:, changed] = (other[:, changed] + 1) % 11
        before, after = model(tokens), model(other)
        assert torch.allclose(before[:, :changed], after[:, :changed], atol=1e-5)
        assert not torch.allclose(before[:, changed:], after[:, changed:], atol=1e-4)


def test_a_shorter_text_gives_what_its_beginning_gives(model):
    model.eval()
    tokens = torch.randint(0, 11, (2, 16))
    assert torch.allclose(model(tokens)[:, :7], model(tokens[:, :7]), atol=1e-5)


def test_blocks_start_apart_and_untrained_guesses_are_even(model):
    first, second = model.blocks.layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)
    tokens = torch.randint(0, 11, (8, 16))
    loss = torch.nn.functional.cross_entropy(model.eval()(tokens).flatten(0, 1), tokens.flatten())
    assert abs(loss.item() - torch.log(torch.tensor(11.0)).item()) < 0.3
