"""Networks that go on from the weights of earlier ones."""

import torch

from automl.continual.fine_tuning import take_over
from automl.models.mlp import MLP


def test_a_network_with_more_classes_keeps_what_it_said_of_the_old_ones():
    config = {"width": 8, "layers": 1, "dropout": 0.0}
    torch.manual_seed(0)
    old, new = MLP(config, (4,), 2), MLP(config, (4,), 5)
    take_over(new, old.state_dict())
    x = torch.randn(3, 4)
    assert torch.equal(old(x), new(x)[:, :2])
    assert not torch.equal(new(x)[:, 2], torch.zeros(3))
