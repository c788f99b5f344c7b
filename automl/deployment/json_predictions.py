"""Predictions for examples parsed from JSON, and the JSON schemas of both."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.data.ingest.json_examples import (
    NUMBER,
    NUMBER_OR_NULL,
    TEXT,
    Schema,
    as_number,
    as_string,
    objects_schema,
    shown,
)
from automl.data.inputs import Columns, Inputs, Padded, Tokens
from automl.deployment.predictor import Predictor
from automl.deployment.several_targets import JointPredictor
from automl.errors import UserError
from automl.models.trained import TrainedModel


class JsonPredictions:
    """Predicts for a list of examples from a request; ``response`` returns the content of the response."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def response(self, records: Sequence[Any], unusable: Counter[str] | None = None) -> dict[str, Any]:
        """The predictions, with probabilities for classes and times for a series. UserError for an invalid example.

        ``unusable``: incremented, by column, by the number of values that are present but treated as missing.
        """
        examples, without = self.read(records)
        if unusable is not None and self.predictor.encoder is not None:
            unusable.update(self.predictor.encoder.unusable(examples))
        return self.respond(examples, without)

    def read(self, records: Sequence[Any]) -> tuple[Any, NDArray[np.bool_]]:
        """The examples as the model reads them, and a mask (n,) of those without a prediction, such as the first steps
        of a series."""
        predictor = self.predictor
        if predictor.encoder is not None:
            frame = predictor.encoder.from_records(records)
            return frame, np.asarray(predictor.encoder.without_prediction(frame))
        all_have = np.zeros(len(records), bool)
        if isinstance(predictor.model, TrainedModel):
            return _array(records, predictor.model.preprocessing.inputs), all_have
        return [as_string(record, f"example {row}") for row, record in enumerate(records, 1)], all_have

    def respond(self, examples: Any, without: NDArray[np.bool_]) -> dict[str, Any]:
        """As ``response``, for the results of ``read``; the mask ``without`` may include further examples."""
        predictor, extra = self.predictor, {}
        if predictor.encoder is not None:
            frame = examples[~without]
            if not len(frame):
                raise UserError(f"every example is {predictor.encoder.why_none}, so that none has a prediction")
            found = predictor.of_frame(frame)
            if names := list(predictor.encoder.prediction_id_columns):
                extra["of"] = json.loads(frame[names].to_json(orient="records", date_format="iso"))
        elif isinstance(predictor.model, TrainedModel) and predictor.classes:
            found = predictor.predict_proba(examples)
        else:
            found = predictor.predict(examples)
        if found.dtype.kind == "f" and not (good := np.isfinite(found.reshape(len(found), -1)).all(1)).all():
            row = int(good.argmin()) + 1
            raise UserError(f"example {row} has no prediction: its values are too far from the training data")
        if not predictor.classes:
            return {"predictions": found.tolist(), **extra}
        names = list(predictor.classes)
        return {
            "predictions": [names[place] for place in predictor.decisions(found)],
            "probabilities": [dict(zip(names, row, strict=True)) for row in found.tolist()],
            **extra,
        }

    @property
    def record_schema(self) -> Schema:
        """The schema of one example."""
        predictor = self.predictor
        if predictor.encoder is not None:
            return predictor.encoder.record_schema()
        return (
            _array_schema(predictor.model.preprocessing.inputs) if isinstance(predictor.model, TrainedModel) else TEXT
        )

    @property
    def response_schema(self) -> Schema:
        """The schema of ``response``'s result."""
        predictor, classes = self.predictor, list(self.predictor.classes)
        if classes:
            one: Schema = {"type": "string", "enum": classes}
        else:
            one = NUMBER if isinstance(predictor.model, TrainedModel) else TEXT
        if predictor.levels:
            n, levels = len(predictor.levels), ", ".join(f"{level:g}" for level in predictor.levels)
            one = {"type": "array", "items": NUMBER, "minItems": n, "maxItems": n, "description": f"quantiles {levels}"}
        properties: Schema = {"predictions": {"type": "array", "items": one, "description": predictor.target}}
        if classes:
            each = {"type": "object", "properties": dict.fromkeys(classes, NUMBER), "required": classes}
            properties["probabilities"] = {"type": "array", "items": each}
        if predictor.encoder is not None and predictor.encoder.prediction_id_columns:
            properties["of"] = {
                "type": "array",
                "items": {"type": "object", "required": list(predictor.encoder.prediction_id_columns)},
                "description": "forecast origin of each prediction: one for each time step with a full window",
            }
        return {"type": "object", "properties": properties, "required": list(properties)}


class JointJsonPredictions:
    """As ``JsonPredictions``, for several targets: each prediction is an object with a value per target."""

    def __init__(self, predictor: JointPredictor) -> None:
        self.parts = {name: JsonPredictions(part) for name, part in predictor.parts.items()}

    def response(self, records: Sequence[Any], unusable: Counter[str] | None = None) -> dict[str, Any]:
        """As ``JsonPredictions.response``, for the examples that have a prediction of every target."""
        read = {name: part.read(records) for name, part in self.parts.items()}
        for name, part in self.parts.items():
            if unusable is not None and part.predictor.encoder is not None:  # the models read nearly the same columns
                unusable.update(Counter(part.predictor.encoder.unusable(read[name][0])) - unusable)
        without = np.any([each for _, each in read.values()], axis=0)
        responses = {name: part.respond(read[name][0], without) for name, part in self.parts.items()}
        first, *_ = responses.values()
        rows = zip(*(each["predictions"] for each in responses.values()), strict=True)
        return first | {"predictions": [dict(zip(responses, row, strict=True)) for row in rows]}

    @property
    def record_schema(self) -> Schema:
        """The schema of one example, with everything that any of the models reads."""
        first, *others = (part.record_schema for part in self.parts.values())
        if all(other == first for other in others):
            return first
        properties: Schema = {}
        for schema in (first, *others):
            for name, value in schema["properties"].items():
                known = properties.setdefault(name, value)
                if known != value:  # e.g. numbers in the rows where one target is known, strings elsewhere
                    properties[name] = {"allOf": [known, value]}
        return objects_schema(properties)

    @property
    def response_schema(self) -> Schema:
        """The schema of ``response``'s result."""
        schemas = {name: part.response_schema for name, part in self.parts.items()}
        first, *_ = schemas.values()
        each = objects_schema({name: one["properties"]["predictions"]["items"] for name, one in schemas.items()})
        predictions = {"type": "array", "items": each, "description": ", ".join(schemas)}
        return first | {"properties": first["properties"] | {"predictions": predictions}}


def _array(records: Sequence[Any], inputs: Inputs) -> NDArray[Any]:
    """Nested lists as the raw examples of a built-in task. UserError if shape or values do not fit the model."""
    x = np.zeros((len(records), *inputs.shape), np.float32)
    nullable = isinstance(inputs, Padded | Columns)
    for row, record in enumerate(records):
        _fill(x[row], record, f"example {row + 1}", nullable)
    if isinstance(inputs, Tokens):
        _check_whole(x, (inputs.n_tokens,) * inputs.length)
        return x.astype(np.int64)
    if isinstance(inputs, Columns):
        _check_whole(x[:, inputs.n_numbers :], inputs.cardinalities)
    return x


def _fill(x: NDArray[Any], record: Any, where: str, nullable: bool) -> None:
    if not isinstance(record, list) or len(record) != len(x):
        got = f"a list of {len(record)}" if isinstance(record, list) else shown(record)
        raise UserError(f"{where} must be a list of {len(x)}, since the model's inputs are {x.shape}, got {got}")
    for place, value in enumerate(record):
        if x.ndim > 1:
            _fill(x[place], value, f"{where}[{place}]", nullable)
        else:
            x[place] = as_number(value, f"{where}[{place}]", nullable=nullable)


def _check_whole(x: NDArray[Any], limits: Sequence[int]) -> None:
    wrong = ~((x >= 0) & (x < np.array(limits)) & (x == np.floor(x)))
    if wrong.any():
        row, place = np.argwhere(wrong)[0]
        raise UserError(
            f"example {row + 1} must have an integer from 0 to {limits[place] - 1:,} at index {place}, "
            f"got {x[row, place]:g}"
        )


def _array_schema(inputs: Inputs) -> Schema:
    schema = NUMBER_OR_NULL if isinstance(inputs, Padded | Columns) else NUMBER
    for size in reversed(inputs.shape):
        schema = {"type": "array", "items": schema, "minItems": size, "maxItems": size}
    return schema
