"""A run's model as one ONNX graph, from raw arrays to probabilities, or to numbers in their own units.

Networks are exported by torch's tracing exporter: the one based on torch.export supports neither packed sequences nor
lengths that depend on values, which examples of different lengths need.
"""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from automl.data.ingest.encoder import Encoder
from automl.data.inputs import Columns, Dense, Inputs, Tokens
from automl.data.targets import Classes, Quantiles
from automl.deployment.calibration import MIN_PROBABILITY
from automl.deployment.onnx_estimators import estimator_nodes, forecasts
from automl.deployment.onnx_graph import OPSETS, Graph
from automl.deployment.onnx_learners import EXPORTED, ascending, has_nodes, learner_nodes
from automl.deployment.predictor import Predictor
from automl.errors import UserError
from automl.models.embeddings import TokenEmbedding
from automl.models.learners import learner_class
from automl.models.tensor_models import TrainedEstimator, TrainedNetwork
from automl.models.trained import TrainedLearner, TrainedModel

if TYPE_CHECKING:
    import onnx

TOLERANCE = 1e-4  # of a probability; of a number, in standard deviations of the training set
N_CHECKED = 1_000  # maximum examples
Arrays = Mapping[str, NDArray[Any]]  # input's name -> raw examples


def inputs_of(predictor: Predictor) -> dict[str, Inputs]:
    """The inputs of the members, by name. UserError for a model that generates text."""
    found: dict[str, Inputs] = {}
    for member in predictor.members:
        if not isinstance(member.model, TrainedModel):
            raise UserError(
                "a translator generates token by token, which does not fit a single graph; use it from Python, "
                "automl.load(run).predict(texts), or with automl serve"
            )
        rules = member.model.preprocessing
        name = _input_name(predictor, rules.model)
        if not isinstance(found.get(name), Dense):  # learners read the examples of networks, flattened
            found[name] = rules.inputs
    return found


def _input_name(predictor: Predictor, family: str) -> str:
    """The encoder's name for a family's input: columns, tokens, pixels, ...; for a built-in task, examples."""
    return predictor.encoder.views.of(family) if isinstance(predictor.encoder, Encoder) else "examples"


def as_onnx(predictor: Predictor) -> onnx.ModelProto:
    """The model as ONNX. UserError if it cannot be exported."""
    _check_members(predictor)
    graph, mean = Graph(), ""
    for name, inputs in inputs_of(predictor).items():
        graph.input(name, _kind(inputs), ("n", *inputs.shape))
    for member in predictor.members:
        assert isinstance(member.model, TrainedModel)
        found = _predictions(graph, member.model, _input_name(predictor, member.model.preprocessing.model))
        if len(predictor.members) > 1:
            found = graph("Mul", found, graph.constant(member.weight, np.float32 if predictor.classes else np.float64))
        mean = graph("Add", mean, found) if mean else found
    if not predictor.classes:
        if len(predictor.shifts):
            shifts = graph.constant(list(predictor.shifts), np.float64)
            mean = ascending(graph, graph("Add", mean, shifts), len(predictor.levels))
        if predictor.offset:
            mean = graph("Add", mean, graph.constant(predictor.offset, np.float64))
        graph.output("predictions", mean, np.float64, ("n", len(predictor.levels)) if predictor.levels else ("n",))
    else:
        temperature = float(predictor.card.get("temperature", 1.0))
        if temperature != 1.0:
            logarithms = graph("Log", graph("Max", mean, graph.constant(MIN_PROBABILITY)))
            mean = graph("Softmax", graph("Div", logarithms, graph.constant(temperature)), axis=1)
        graph.output("probabilities", mean, np.float32, ("n", len(predictor.classes)))
    return graph.model("automl", _metadata(predictor))


def _check_members(predictor: Predictor) -> None:
    """Raise UserError for members that have no ONNX form."""
    learners = [member.model for member in predictor.members if isinstance(member.model, TrainedLearner)]
    kind = predictor.encoder.kind if predictor.encoder is not None else ""
    networks = {"text": ("cnn", "rnn", "transformer"), "images": ("cnn",)}  # others read n-grams, gradients
    missing = dict.fromkeys(model.preprocessing.model for model in learners if kind in networks or not has_nodes(model))
    if missing:
        others = {**networks, "sequences": ("cnn", "lightgbm", "extra_trees")}  # their plan has no random_forest
        trees = tuple(name for name in EXPORTED if not predictor.levels or learner_class(name).takes_quantiles)
        raise UserError(
            f"members of this model have no ONNX form: {', '.join(missing)}; a run with --model "
            f"{','.join(others.get(kind, trees))} gives a model that has one"
        )


def _metadata(predictor: Predictor) -> dict[str, str]:
    names = ("task", "kind", "made", "metric", "test", "temperature", "threshold", "shifts", "versions")
    metadata = {name: predictor.card[name] for name in names if predictor.card.get(name) is not None}
    metadata |= {"target": predictor.target, "classes": list(predictor.classes)}
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in metadata.items()}


def _kind(inputs: Inputs) -> Any:
    return np.int64 if isinstance(inputs, Tokens) else np.float32


def _predictions(graph: Graph, model: TrainedModel, examples: str) -> str:
    """As ``Target.predictions``: probabilities, or numbers in float64, since float32 would lose digits."""
    target = model.preprocessing.target
    if isinstance(model, TrainedLearner):
        found = learner_nodes(graph, model, graph("Flatten", examples, axis=1))
        if isinstance(target, Classes):
            return found
        if isinstance(target, Quantiles):
            return graph.cast(found, np.float64)
        return graph("Squeeze", graph.cast(found, np.float64), graph.constant([1], np.int64))
    if isinstance(model, TrainedNetwork):
        outputs = graph.add(_traced(model), examples)
    else:
        assert isinstance(model, TrainedEstimator)
        outputs = estimator_nodes(graph, model, examples)
    if isinstance(target, Classes):
        return graph("Softmax", outputs, axis=1)
    std, mean = (graph.constant(value, np.float64) for value in (target.std, target.mean))
    found = graph("Mul", graph.cast(outputs, np.float64), std)
    if isinstance(model, TrainedEstimator) and model.lags.is_relative:
        found = forecasts(graph, model.lags, found, graph("Flatten", examples, axis=1))
    else:
        found = graph("Add", found, mean)
    return graph("Squeeze", found, graph.constant([1], np.int64))


# --- networks ---------------------------------------------------------------------------------------------------------


class _WithPreprocessing(nn.Module):
    """Preprocessing and network in one module."""

    def __init__(self, model: TrainedNetwork) -> None:
        super().__init__()
        self.model, self.module = model, model.module.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.model.forward(x).float()


def _traced(model: TrainedNetwork) -> onnx.ModelProto:
    import onnx

    example = torch.from_numpy(random_examples(model.preprocessing.inputs, 3))
    with (
        torch.no_grad(),
        _as_traced(model),
        warnings.catch_warnings(),
        tempfile.TemporaryDirectory() as folder,
    ):
        file = Path(folder) / "network.onnx"
        warnings.simplefilter("ignore")  # of the tracer; largest_difference checks its result
        torch.onnx.export(
            _WithPreprocessing(model).eval(),
            (example,),
            file,
            dynamo=False,
            input_names=["x"],
            output_names=["outputs"],
            dynamic_axes={"x": {0: "n"}, "outputs": {0: "n"}},
            opset_version=OPSETS[""],
        )
        return onnx.load(file)


@contextmanager
def _as_traced(model: TrainedNetwork) -> Iterator[None]:
    """Disable torch's fused operator for whole blocks, which ONNX does not have.

    Attention reads tokens in full length, with padding masked: a trace would record the length to which the embedding
    truncates as a constant.
    """
    whole = model.preprocessing.model == "transformer"
    embeddings = [part for part in model.module.modules() if whole and isinstance(part, TokenEmbedding)]
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    for embedding in embeddings:
        embedding.cuts = False
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        for embedding in embeddings:
            embedding.cuts = True


# --- the check --------------------------------------------------------------------------------------------------------


def random_examples(inputs: Inputs, n: int) -> NDArray[Any]:
    """Random raw examples for a model, of different lengths and with missing values if it supports them."""
    rng = np.random.default_rng(0)
    if isinstance(inputs, Tokens):
        tokens: NDArray[np.int64] = rng.integers(1, inputs.n_tokens, (n, inputs.length))
        tokens[np.arange(inputs.length) >= rng.integers(1, inputs.length + 1, (n, 1))] = 0
        return tokens
    if isinstance(inputs, Columns):
        numbers = rng.normal(inputs.mean, inputs.std, (n, inputs.n_numbers))
        numbers[rng.random(numbers.shape) < 0.1] = np.nan
        categories = [rng.integers(0, cardinality, (n, 1)) for cardinality in inputs.cardinalities]
        columns: NDArray[np.float32] = np.concatenate([numbers, *categories], 1).astype(np.float32)
        return columns
    assert isinstance(inputs, Dense)
    each = (-1, *(1 for _ in inputs.shape[1:]))
    mean, std = (np.reshape(values, each) for values in (inputs.mean, inputs.std))
    x: NDArray[np.float32] = (rng.normal(size=(n, *inputs.shape)) * std + mean).astype(np.float32)
    if inputs.kind == "padded":
        x[np.broadcast_to(np.arange(x.shape[2]) >= rng.integers(1, x.shape[2] + 1, (n, 1, 1)), x.shape)] = np.nan
    return x


def examples_to_check(predictor: Predictor, run: Path) -> tuple[Arrays, str]:
    """Validation examples if the run's data are available, else random ones; and a description of them."""
    from automl.data.datasets.registry import load_data
    from automl.data.ingest.prepare import FACTS

    inputs, data = inputs_of(predictor), run / "data"
    if (data / FACTS).is_file() and all((data / name).is_dir() for name in inputs):
        found = {name: load_data(str(data / name), None).x_valid[:N_CHECKED] for name in inputs}
        return found, f"{len(next(iter(found.values()))):,} validation examples"
    return {name: random_examples(each, 100) for name, each in inputs.items()}, "100 random examples"


def largest_difference(predictor: Predictor, content: bytes, examples: Arrays) -> float:
    """The largest difference between onnxruntime's and the model's predictions, in units of TOLERANCE.

    Checks a single example too. NaN if only one of the two has a prediction.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    known = inputs_of(predictor)
    largest = 0.0
    for part in (examples, {name: x[:1] for name, x in examples.items()}):
        own = _judged(predictor, part)
        arrays = {name: x.astype(_kind(known[name])).reshape(-1, *known[name].shape) for name, x in part.items()}
        [found] = session.run(None, arrays)
        largest = float(np.maximum(largest, np.abs(found - own).max() if found.shape == own.shape else np.nan))
    model = predictor.model
    assert isinstance(model, TrainedModel)
    target = model.preprocessing.target
    return largest if isinstance(target, Classes) else largest / target.std


def _judged(predictor: Predictor, examples: Arrays) -> NDArray[Any]:
    return predictor.whole(predictor.judge(lambda family: examples[_input_name(predictor, family)]))
