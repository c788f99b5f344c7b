"""Model families: networks, one class each, called with (config, shape, n_outputs), and scikit-learn's estimators.

shape is that of one example, channels first. Input: standardised, (batch, *shape); for examples of different lengths
also a mask (batch, length) of the valid steps and, if known, the number of these (batch,) as a tensor on the CPU.
Output: (batch, n_outputs), one logit per class or a number.
"""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from torch import nn

    from automl.data.inputs import Inputs
    from automl.data.targets import Target

NETWORKS = {  # name -> module in this package, class
    "cnn": "cnn:CNN",
    "rnn": "rnn:RNN",
    "transformer": "transformer:Transformer",
    "mlp": "mlp:MLP",
    "backbone": "backbone:Backbone",
}
ESTIMATORS = ("gradient_boosting", "random_forest", "linear")  # see automl.models.sklearn_estimators


def build_model(family: str, config: Mapping[str, Any], shape: tuple[int, ...], n_outputs: int) -> "nn.Module":
    """The network of a family for dense examples."""
    module, name = NETWORKS[family].split(":")
    network = getattr(importlib.import_module(f"automl.models.{module}"), name)
    return cast("nn.Module", network(config, shape, n_outputs))


def build_for(inputs: "Inputs", family: str, config: Mapping[str, Any], target: "Target") -> "nn.Module":
    """The network of a family for any kind of inputs: tokens and categories are embedded first, and the windows of a
    series become changes if the config says so."""
    if config.get("lags") == "relative":
        from automl.data.inputs import Windows
        from automl.data.targets import Number
        from automl.models.changes import Changes

        assert isinstance(inputs, Windows)
        assert isinstance(target, Number)
        return Changes(build_model(family, config, inputs.shape, target.n_outputs), inputs, target)
    if inputs.kind not in ("tokens", "columns"):
        return build_model(family, config, inputs.shape, target.n_outputs)
    from automl.models.embeddings import Embedded, build_embedding

    embedding = build_embedding(inputs, config)
    return Embedded(embedding, build_model(family, config, embedding.shape, target.n_outputs))


def own_config(family: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with its family's own names: in a space of several families, `mlp_width` is the `width` of `mlp`."""
    return {name.removeprefix(f"{family}_"): value for name, value in config.items()}
