"""The spaces that the contract tests run over: each shows one thing that a strategy must cope with."""

from ConfigSpace import ConfigurationSpace

from automl.space.parse import load_space

SPACES = {
    "numeric": {"x": {"float": [-5, 5]}, "y": {"float": [1e-4, 10.0], "log": True}},
    "mixed": {
        "lr": {"float": [1e-5, 1e-1], "log": True, "default": 1e-3},
        "n": {"int": [1, 512], "log": True},
        "depth": {"int": [1, 4]},
        "width": {"ordinal": [16, 32, 64, 128]},
        "kind": {"choice": ["cnn", "rnn", "mlp"]},
        "bias": {"choice": [True, False]},
    },
    "conditional": {
        "optimizer": {"choice": ["sgd", "adamw"], "default": "adamw"},
        "momentum": {"float": [0.0, 0.99], "when": {"optimizer": "sgd"}},
        "nesterov": {"choice": [True, False], "when": {"optimizer": "sgd"}},
        "layers": {"int": [1, 3]},
        "units2": {"int": [4, 64], "when": {"layers": [2, 3]}},
        "beta": {"float": [0.5, 0.999], "when": {"optimizer": "adamw", "layers": [1, 2]}},
    },
    "forbidden": {
        "a": {"int": [0, 9]},
        "b": {"choice": ["p", "q", "r"]},
        "c": {"float": [0, 1]},
        "forbidden": [{"a": [5, 6, 7, 8, 9], "b": ["q", "r"]}, {"a": 0, "b": "r"}],
    },
    "constants": {"x": {"float": [0, 1]}, "one": {"int": [3, 3]}, "name": {"choice": ["only"]}},
    "categorical": {"a": {"choice": list("pqrstuvw")}, "b": {"choice": list("pqrstuvw")}, "c": {"choice": [1, 2, 3]}},
    "finite": {
        "a": {"int": [1, 3]},
        "b": {"choice": ["p", "q"]},
        "c": {"ordinal": [1, 2, 4], "when": {"b": "q"}},
        "forbidden": [{"a": 3, "b": "q"}],
    },
}
N_CELLS_FINITE = 3 + 2 * 3  # b = p: three values of a; b = q: two of a, three of c


def space(name: str) -> ConfigurationSpace:
    return load_space(SPACES[name])


def loss_of(config: dict) -> float:
    """A smooth loss on any of the spaces: the squared distance of numbers from their place, plus a price a choice."""
    loss = 0.0
    for name, value in config.items():
        if isinstance(value, (bool, str)):
            loss += 0.1 * (sum(map(ord, str(value))) % 5)
        else:
            loss += (float(value) - (len(name) % 3)) ** 2 / (1.0 + float(value) ** 2)
    return loss
