"""A JAX training loop that reports its learning curve. From the root of this repository:

python -m automl.run --task examples/jax_loop.py:digits --strategy bo+asha --trials 30
"""

import itertools
import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # before importing JAX
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")  # one thread per training

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import automl

SPACE = {
    "lr": {"float": [1e-3, 1.0], "log": True, "default": 0.1},
    "momentum": {"float": [0.0, 0.99], "default": 0.9},
    "batch_size": {"ordinal": [16, 32, 64, 128], "default": 32},
    "units": {"ordinal": [8, 16, 32, 64, 128], "default": 32},  # few values: each is compiled once
}


def scores(weights, X):
    (W1, b1), (W2, b2) = weights
    return jax.nn.relu(X @ W1 + b1) @ W2 + b2


def cross_entropy(weights, X, y):
    return -jnp.take_along_axis(jax.nn.log_softmax(scores(weights, X)), y[:, None], axis=1).mean()


@jax.jit
def step(weights, velocity, X, y, lr, momentum):
    slope = jax.grad(cross_entropy)(weights, X, y)
    velocity = jax.tree.map(lambda v, s: momentum * v - lr * s, velocity, slope)
    return jax.tree.map(jnp.add, weights, velocity), velocity


@jax.jit
def validate(weights, X, y):
    return cross_entropy(weights, X, y), (scores(weights, X).argmax(1) == y).mean()


def train(config, seed, epochs):
    """Yields the validation loss and accuracy after each epoch."""
    X, y = load_digits(return_X_y=True)
    X_train, X_valid, y_train, y_valid = train_test_split(X / 16, y, test_size=0.3, stratify=y, random_state=0)
    rng = np.random.default_rng(seed)
    sizes = [64, config["units"], 10]
    weights = [
        (rng.normal(0, (2 / n_in) ** 0.5, (n_in, n_out)).astype("float32"), np.zeros(n_out, "float32"))
        for n_in, n_out in itertools.pairwise(sizes)
    ]
    velocity = jax.tree.map(jnp.zeros_like, weights)
    n_batches = len(X_train) // config["batch_size"]
    for _ in range(epochs):
        order = rng.permutation(len(X_train))[: n_batches * config["batch_size"]]
        for rows in order.reshape(n_batches, -1):
            weights, velocity = step(weights, velocity, X_train[rows], y_train[rows], config["lr"], config["momentum"])
        loss, accuracy = validate(weights, X_valid, y_valid)
        yield {"loss": loss, "accuracy": accuracy}


digits = automl.as_task(train, SPACE, max_epochs=20)
