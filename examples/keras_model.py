"""A Keras model (TensorFlow) that reports its learning curve. From the root of this repository:

python -m automl.run --task examples/keras_model.py:digits --strategy bo+asha --trials 30
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before importing TensorFlow, to silence its build messages

import keras
import tensorflow
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import automl

SPACE = {
    "lr": {"float": [1e-4, 1e-1], "log": True, "default": 1e-3},
    "optimizer": {"choice": ["adam", "sgd"]},
    "momentum": {"float": [0.0, 0.99], "default": 0.9, "when": {"optimizer": "sgd"}},
    "batch_size": {"ordinal": [16, 32, 64, 128], "default": 32},
    "units": {"int": [8, 128], "log": True, "default": 32},
    "dropout": {"float": [0.0, 0.5], "default": 0.0},
}


def train(config, seed, epochs):
    """Yields the validation loss and accuracy after each epoch."""
    # One training runs per core, so each uses one thread.
    tensorflow.config.threading.set_intra_op_parallelism_threads(1)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    keras.backend.clear_session()  # a worker trains many models in sequence
    keras.utils.set_random_seed(seed)
    X, y = load_digits(return_X_y=True)
    X_train, X_valid, y_train, y_valid = train_test_split(X / 16, y, test_size=0.3, stratify=y, random_state=0)
    model = keras.Sequential(
        [
            keras.layers.Dense(config["units"], activation="relu"),
            keras.layers.Dropout(config["dropout"]),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    if config["optimizer"] == "adam":
        optimizer = keras.optimizers.Adam(config["lr"])
    else:
        optimizer = keras.optimizers.SGD(config["lr"], momentum=config["momentum"])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    for epoch in range(epochs):
        history = model.fit(
            X_train,
            y_train,
            batch_size=config["batch_size"],
            validation_data=(X_valid, y_valid),
            initial_epoch=epoch,
            epochs=epoch + 1,
            verbose=0,
        ).history
        yield {"loss": history["val_loss"][0], "accuracy": history["val_accuracy"][0]}


digits = automl.as_task(train, SPACE, max_epochs=20)
