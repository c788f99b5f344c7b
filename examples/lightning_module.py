"""An unmodified PyTorch Lightning module that reports its learning curve. From the root of this repository:

python -m automl.run --task examples/lightning_module.py:digits --strategy bo+asha --trials 30
"""

import logging
import queue
import threading

import lightning
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import automl

SPACE = {
    "lr": {"float": [1e-4, 1e-1], "log": True, "default": 1e-3},
    "weight_decay": {"float": [1e-5, 1.0], "log": True, "default": 1e-2},
    "batch_size": {"ordinal": [16, 32, 64, 128], "default": 32},
    "units": {"int": [8, 128], "log": True, "default": 32},
    "dropout": {"float": [0.0, 0.5], "default": 0.0},
}


class Classifier(lightning.LightningModule):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(64, config["units"]),
            torch.nn.ReLU(),
            torch.nn.Dropout(config["dropout"]),
            torch.nn.Linear(config["units"], 10),
        )

    def training_step(self, batch, _):
        return functional.cross_entropy(self.layers(batch[0]), batch[1])

    def validation_step(self, batch, _):
        scores = self.layers(batch[0])
        self.log("loss", functional.cross_entropy(scores, batch[1]))
        self.log("accuracy", (scores.argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=self.config["lr"], weight_decay=self.config["weight_decay"])


class ReportEpochs(lightning.Callback):
    """Puts the metrics logged in each validation epoch into a queue."""

    def __init__(self, epochs):
        self.epochs = epochs

    def on_validation_epoch_end(self, trainer, _):
        self.epochs.put({name: float(value) for name, value in trainer.callback_metrics.items()})


def train(config, seed, epochs):
    """Yields the validation loss and accuracy after each epoch.

    The trainer runs its own loop, so it gets its own thread, which ends when the tuner stops this generator.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    lightning.seed_everything(seed, verbose=False)
    X, y = load_digits(return_X_y=True)
    parts = train_test_split(X.astype("float32") / 16, y, test_size=0.3, stratify=y, random_state=0)
    X_train, X_valid, y_train, y_valid = map(torch.from_numpy, parts)
    training = DataLoader(TensorDataset(X_train, y_train), config["batch_size"], shuffle=True)
    validation = DataLoader(TensorDataset(X_valid, y_valid), len(X_valid))
    results = queue.Queue()
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[ReportEpochs(results)],
        logger=False,  # no log folder
        enable_checkpointing=False,  # no checkpoint folder
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )

    def fit():
        try:
            trainer.fit(Classifier(config), training, validation)
            results.put(None)
        except Exception as error:
            results.put(error)

    thread = threading.Thread(target=fit)
    thread.start()
    try:
        while (epoch := results.get()) is not None:
            if isinstance(epoch, Exception):
                raise epoch
            yield epoch
    finally:  # also when the tuner stops this training
        trainer.should_stop = True
        thread.join()


digits = automl.as_task(train, SPACE, max_epochs=20)
