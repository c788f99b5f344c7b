"""Model families: shapes, reading order, gradients."""

import pytest
import torch

from automl.data.inputs import Tokens
from automl.data.targets import Number
from automl.models import build_for, build_model
from automl.models.cnn import masked_group_norm
from automl.models.rnn import RNN as Recurrent

CONFIGS = {  # of the families that read signals and pictures; test_backbone has the one of pictures alone
    "cnn": {"width": 8, "layers": 3, "kernel_size": 5, "norm": "batch", "dropout": 0.1},
    "rnn": {"width": 8, "layers": 2, "cell": "lstm", "bidirectional": True, "summary": "max", "dropout": 0.1},
    "transformer": {"width": 16, "layers": 2, "heads": 4, "patch": 4, "dropout": 0.1},
    "mlp": {"width": 16, "layers": 2, "norm": "batch", "dropout": 0.1},
}
VARIANTS = [
    ("cnn", {}),
    ("cnn", {"norm": "group", "downsample": "stride"}),
    ("cnn", {"norm": "none", "layers": 1, "kernel_size": 3}),
    ("rnn", {}),
    ("rnn", {"cell": "gru", "bidirectional": False, "layers": 1, "summary": "last"}),
    ("rnn", {"summary": "mean"}),
    ("transformer", {}),
    ("transformer", {"overlap": True, "heads": 1, "layers": 1}),
    ("mlp", {}),
    ("mlp", {"norm": "none", "layers": 1}),
]


@pytest.mark.parametrize("shape", [(1, 40), (3, 28), (1, 28, 28), (3, 8, 8)])
@pytest.mark.parametrize(("family", "change"), VARIANTS)
def test_one_logit_a_class_and_every_weight_learns(family, change, shape):
    model = build_model(family, CONFIGS[family] | change, shape, 7)
    logits = model(torch.randn(5, *shape))
    assert logits.shape == (5, 7)
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 3, 4])).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert all(p.grad.abs().sum() > 0 for p in model.parameters() if p.ndim > 1)


@pytest.mark.parametrize("family", CONFIGS)
@pytest.mark.parametrize("shape", [(1, 40), (1, 28, 28)])
def test_order_of_the_input_matters(family, shape):
    model = build_model(family, CONFIGS[family], shape, 3).eval()
    x = torch.randn(2, *shape)
    assert not torch.allclose(model(x), model(x.flip(2)), atol=1e-4)


@pytest.mark.parametrize("family", CONFIGS)
def test_examples_of_a_batch_do_not_mix_in_use(family):
    model = build_model(family, CONFIGS[family], (1, 40), 3).eval()
    x = torch.randn(4, 1, 40)
    assert torch.allclose(model(x)[1:2], model(x[1:2]), atol=1e-5)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_last_summary_is_where_each_direction_ends(cell, bidirectional):
    config = CONFIGS["rnn"] | {"cell": cell, "bidirectional": bidirectional, "summary": "last", "layers": 1}
    model = Recurrent(config, (1, 40), 3).eval()
    states, last = model.rnn(torch.randn(2, 40, 1))
    final = last[0] if cell == "lstm" else last
    assert torch.equal(model.summarise(states), torch.cat(list(final), 1))


def test_rows_of_a_picture_are_the_steps():
    model = Recurrent(CONFIGS["rnn"] | {"bidirectional": False, "summary": "last", "layers": 1}, (2, 5, 7), 3)
    assert model.rnn.input_size == 2 * 7
    x = torch.randn(1, 2, 5, 7)
    rows = torch.stack([x[:, :, row].flatten(1) for row in range(5)], 1)
    assert torch.equal(model.eval()(x), model.head(model.rnn(rows)[0][:, -1]))


def test_blocks_of_a_transformer_start_apart():
    first, second = build_model("transformer", CONFIGS["transformer"], (1, 40), 3).encoder.layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)
    assert not torch.equal(first.self_attn.in_proj_weight, second.self_attn.in_proj_weight)


def test_overlap_doubles_the_tokens():
    plain, overlapping = (
        build_model("transformer", CONFIGS["transformer"] | {"overlap": overlap}, (1, 40), 3)
        for overlap in (False, True)
    )
    assert [len(model.position) for model in (plain, overlapping)] == [10, 19]


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("shape", [(2, 41), (2, 3), (1, 10, 15)])
def test_patches_read_every_step(shape, overlap):
    model = build_model("transformer", CONFIGS["transformer"] | {"overlap": overlap}, shape, 3).eval()
    x = torch.randn(2, *shape, requires_grad=True)
    model(x).square().sum().backward()
    assert (x.grad != 0).all()


def test_a_patch_that_is_not_full_ends_with_the_newest_step():
    model = build_model("transformer", CONFIGS["transformer"], (1, 10), 3).eval()
    x = torch.randn(2, 1, 10)
    full = build_model("transformer", CONFIGS["transformer"], (1, 12), 3).eval()
    full.load_state_dict(model.state_dict())
    assert torch.equal(model(x), full(torch.cat([torch.zeros(2, 1, 2), x], 2)))


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("length", [1, 3, 4, 5, 6, 9])
def test_a_transformers_output_for_tokens_depends_on_all_of_them_and_not_on_the_batch(length, overlap):
    config = CONFIGS["transformer"] | {"overlap": overlap, "embedding": 8}
    model = build_for(Tokens(11, 20), "transformer", config, Number(0.0, 1.0)).eval()
    x = torch.randint(1, 20, (3, 11))
    x[0, length:] = 0
    alone = model(x[:1], x[:1] != 0)
    assert torch.allclose(model(x, x != 0)[:1], alone, atol=1e-5)
    x[0, length - 1] = x[0, length - 1] % 19 + 1
    assert not torch.allclose(model(x[:1], x[:1] != 0), alone, atol=1e-5)


@pytest.mark.parametrize("downsample", ["max", "stride"])
@pytest.mark.parametrize("norm", ["batch", "group", "none"])
@pytest.mark.parametrize("pooling", ["max", "mean"])
def test_what_a_masked_network_says_does_not_depend_on_how_far_it_was_filled_up(norm, downsample, pooling):
    change = {"norm": norm, "downsample": downsample, "pooling": pooling}
    model = build_model("cnn", CONFIGS["cnn"] | change, (6, 40), 3).eval()
    x = torch.randn(2, 6, 40)
    short = torch.arange(40) < 13
    alone = model(x[:, :, :13], torch.ones(2, 13, dtype=torch.bool))
    filled = torch.where(short, x, 0.0)  # as inputs and embeddings fill up
    assert torch.allclose(model(filled, short.expand(2, 40)), alone, atol=1e-5)


def test_masked_group_norm_of_whole_signals_is_torchs():
    norm = torch.nn.GroupNorm(4, 8)
    torch.nn.init.normal_(norm.weight)
    maps = torch.randn(3, 8, 11)
    assert torch.allclose(masked_group_norm(norm, maps, torch.ones(3, 11, dtype=torch.bool)), norm(maps), atol=1e-5)
