"""Pretrained image networks, with random weights in the files where torchvision looks for them."""

import numpy as np
import pytest
import torch
from PIL import Image

import automl
from automl.data.ingest.prepare import prepare
from automl.data.ingest.request import Request
from automl.errors import UserError
from automl.models.backbone import Backbone, on_disk, weights_file
from automl.models.loading import load_model
from automl.tasks.user_data import choose_families, own_task

CONFIG = {"architecture": "mobilenet_v3_small", "side": 64, "tuned": "head", "dropout": 0.0}


@pytest.fixture
def nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.fixture
def weights(nothing):
    """The state of a mobilenet in its place."""
    from torchvision.models import get_model  # takes three seconds, which the other tests do without

    with torch.random.fork_rng():
        torch.manual_seed(5)
        state = get_model("mobilenet_v3_small", weights=None).state_dict()
    file = weights_file("mobilenet_v3_small")
    file.parent.mkdir(parents=True)
    torch.save(state, file)
    return state


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    for label, level in (("dark", 60), ("light", 180)):
        for number in range(24):
            file = tmp_path / "photos" / label / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(level - 40, level + 40, (16, 16)).astype(np.uint8)).save(file)
    return tmp_path / "photos"


def test_without_weights_there_is_none_and_asking_says_how_to_get_them(nothing):
    assert on_disk() == ()
    assert "backbone" not in choose_families("images", "auto")
    with pytest.raises(UserError, match=r"needs weights of mobilenet_v3_small .* copy mobilenet_v3_small-.*\.pth to"):
        choose_families("images", "cnn,backbone")
    with pytest.raises(UserError, match="weights of mobilenet_v3_small are not on"):
        Backbone(CONFIG, (1, 16, 16), 2).start_from_disk()


def test_a_file_of_something_else_is_refused(weights):
    torch.save({"features": torch.zeros(3)}, weights_file("mobilenet_v3_small"))
    with pytest.raises(UserError, match="does not hold the weights of mobilenet_v3_small"):
        Backbone(CONFIG, (1, 16, 16), 2).start_from_disk()


@pytest.mark.parametrize("architecture", ["mobilenet_v3_small", "resnet18", "efficientnet_b0"])
def test_each_architecture_reads_grey_and_coloured_pictures_of_any_size(architecture):
    for channels in (1, 3):
        model = Backbone({**CONFIG, "architecture": architecture, "side": 32}, (channels, 16, 16), 5).eval()
        assert model(torch.zeros(2, channels, 16, 16)).shape == (2, 5)


def test_it_starts_from_the_weights_trains_its_head_alone_and_travels_without_the_file(weights, photos, tmp_path):
    prepare(Request(str(photos)), tmp_path / "data")
    task = own_task(tmp_path / "data", "backbone", None)
    config = dict(task.space.get_default_configuration()) | {"backbone_tuned": "head", "backbone_side": 64}
    assert config["backbone_architecture"] == "mobilenet_v3_small"  # the one whose weights are here
    config |= {"lr": 0.03, "dropout": 0.0, "augment": 0.0}
    epochs = list(task.train(config, seed=0, epochs=4, checkpoint=tmp_path / "trial", device="cpu"))
    assert epochs[-1].metrics["train_cross_entropy"] < epochs[0].metrics["train_cross_entropy"]
    task.export(tmp_path / "trial", tmp_path / "model")
    weights_file("mobilenet_v3_small").unlink()
    body = load_model(tmp_path / "model").module.body.state_dict()
    assert all(torch.equal(body[name], weights[name]) for name in body)
    predicted = automl.load(tmp_path / "model").predict(str(photos))
    assert set(predicted) <= {"dark", "light"}


def test_all_of_it_can_go_on_learning(weights, photos, tmp_path):
    prepare(Request(str(photos)), tmp_path / "data")
    task = own_task(tmp_path / "data", "backbone", None)
    config = dict(task.space.get_default_configuration()) | {"backbone_tuned": "all", "backbone_side": 64}
    list(task.train(config, seed=0, epochs=1, checkpoint=tmp_path / "trial", device="cpu"))
    task.export(tmp_path / "trial", tmp_path / "model")
    body = load_model(tmp_path / "model").module.body.state_dict()
    assert not torch.equal(body["features.0.0.weight"], weights["features.0.0.weight"])
