"""Networks as learners of a cross-validation."""

import numpy as np
import pytest
import torch

from automl.data.augmentation import augment
from automl.data.datasets.registry import load_data
from automl.metrics import measure
from automl.models.learners.base import Rows
from automl.models.trained import Preprocessing
from automl.task import TrainingFailed
from automl.training.fold_learners import build_learner, learner_class, trained, trained_in


def digits():
    splits = load_data("digits", None)
    return splits, Rows(splits.x_train[:400], splits.y_train[:400])


def config_of(family, **changes):
    space = learner_class(family).space(classes=True, with_levels=False)
    return {name: entry.get("default", entry.get("constant")) for name, entry in space.items()} | changes


@pytest.mark.parametrize("family", ["cnn", "mlp"])
def test_a_network_learns_repeats_itself_and_is_the_same_after_it_was_saved(family, tmp_path):
    splits, train = digits()
    config = config_of(family, epochs=4, layers=1, width=16 if family == "cnn" else 128)
    config |= {"augment": 0.3, "mirror": False} if family == "cnn" else {}
    learner, again = (build_learner(family, config, splits.inputs, splits.target, 7) for _ in range(2))
    learner.fit(train)
    again.fit(train)
    predicted = learner.predict(splits.x_test)
    assert measure("accuracy", splits.y_test, predicted) > 0.7
    assert (again.predict(splits.x_test) == predicted).all()
    rules = Preprocessing("digits", family, splits.inputs, splits.target)
    learner.save(tmp_path)
    for model in (trained(learner, config, rules), trained_in(tmp_path, config, rules)):
        assert np.allclose(model.predict(splits.x_test), predicted, atol=1e-6)


def test_a_network_that_diverges_fails_its_trial():
    splits, train = digits()
    config = config_of("mlp", epochs=2, layers=1, lr=1e30)
    with pytest.raises(TrainingFailed, match=r"diverged: training loss is (nan|inf)"):
        build_learner("mlp", config, splits.inputs, splits.target, 0).fit(train)


def test_images_are_mirrored_only_where_that_is_wanted():
    x = torch.zeros(64, 1, 8, 8)
    x[:, :, :, 0] = 1.0
    generator = torch.Generator().manual_seed(0)
    turned = augment(x, 1.0, generator)
    assert turned[:, :, 4, 4:].amax() == 1.0
    plain = augment(x, 1.0, generator, mirrored=False)
    assert plain[:, :, 4, 4:].amax() == 0.0
    assert (plain != x).any(), "they are still shifted"
