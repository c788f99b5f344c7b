"""A model of user data, trained and loaded as `predict` loads it."""

from automl.deployment.predictor import load_predictor
from automl.tasks.user_data import own_task


def trained(folder, family, tmp_path, epochs, **change):
    task = own_task(folder, family, None)
    config = {
        name: value.item() if hasattr(value, "item") else value
        for name, value in dict(task.space.get_default_configuration()).items()
    }
    *_, last = task.train(config | change, seed=0, epochs=epochs, checkpoint=tmp_path / family, device="cpu")
    task.export(tmp_path / family, tmp_path / f"{family}-model")
    return last, load_predictor(tmp_path / f"{family}-model")
