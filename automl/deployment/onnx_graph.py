"""An ONNX graph, built node by node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

OPSETS = {"": 17, "ai.onnx.ml": 3}


class Graph:
    """Nodes and constants with unique names; a value is represented by its name."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._n = 0

    def __call__(self, operator: str, *inputs: str, n_outputs: int = 1, **attributes: Any) -> str:
        """Add a node and return its first output. ``n_outputs``: how many the operator must have."""
        from onnx import helper

        name = self._name(operator)
        outputs = [name, *(f"{name}/{place}" for place in range(1, n_outputs))]
        self._nodes.append(helper.make_node(operator, inputs, outputs, name, **attributes))
        return name

    def constant(self, values: NDArray[Any] | list[Any] | float, kind: Any = np.float32) -> str:
        from onnx import numpy_helper

        name = self._name("constant")
        self._constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def cast(self, value: str, kind: Any) -> str:
        from onnx import helper

        return self("Cast", value, to=helper.np_dtype_to_tensor_dtype(np.dtype(kind)))

    def input(self, name: str, kind: Any, shape: tuple[int | str, ...]) -> str:
        """Declare an input, once for repeated calls."""
        if name not in [each.name for each in self._inputs]:
            self._inputs.append(_described(name, kind, shape))
        return name

    def output(self, name: str, value: str, kind: Any, shape: tuple[int | str, ...]) -> None:
        from onnx import helper

        self._nodes.append(helper.make_node("Identity", [value], [name], f"to {name}"))
        self._outputs.append(_described(name, kind, shape))

    def add(self, model: onnx.ModelProto, value: str) -> str:
        """Add a whole model with one input and one output, applied to a value; returns its output."""
        from onnx import compose

        prefix = self._name("part") + "/"
        part = compose.add_prefix(model, prefix).graph
        [given], [output] = part.input, part.output
        for node in part.node:
            for place, name in enumerate(node.input):
                if name == given.name:
                    node.input[place] = value
        self._nodes.extend(part.node)
        self._constants.extend(part.initializer)
        return str(output.name)

    def model(self, name: str, metadata: dict[str, str]) -> onnx.ModelProto:
        """The graph as a checked ONNX model."""
        import onnx
        from onnx import helper

        used = set(_read_by(self._nodes))
        constants = [each for each in self._constants if each.name in used]  # onnxruntime warns about unused ones
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, constants)
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        made = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="automl")
        helper.set_model_props(made, metadata)
        onnx.checker.check_model(made, full_check=True)
        return made

    def _name(self, stem: str) -> str:
        self._n += 1
        return f"{stem}_{self._n}"


def _read_by(nodes: Iterable[Any]) -> Iterator[str]:
    """The values that nodes read, including those read in their subgraphs."""
    for node in nodes:
        yield from node.input
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _read_by(graph.node)


def _described(name: str, kind: Any, shape: tuple[int | str, ...]) -> Any:
    from onnx import helper

    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(kind)), shape)
