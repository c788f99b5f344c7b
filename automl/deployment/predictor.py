"""Predictions of a trained model for new examples, from a file, a frame or a list."""

from __future__ import annotations

import json
import shlex
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from automl.data.ingest.encoder import ENCODER, N_READ, NOTES, Encoder, Reader
from automl.data.ingest.kinds import load_encoder
from automl.data.ingest.string_column import as_texts
from automl.data.inputs import text_array
from automl.data.targets import Number, levels_of
from automl.deployment.calibration import shifted_quantiles, tempered
from automl.deployment.model_card import CARD
from automl.deployment.model_files import loading, members, read_card, targets
from automl.errors import UserError
from automl.metrics import DEFAULT_THRESHOLD, decisions, shifted
from automl.models.loading import load_model
from automl.models.trained import TrainedLearner, TrainedModel

if TYPE_CHECKING:
    import pandas as pd

    from automl.models.trained_seq2seq import Translator

PREPROCESSING = "preprocessing.json"
MIN_ROWS_TO_WARN = 5  # rows whose values all cannot be used; fewer may be exceptions


@dataclass(frozen=True)
class Member:
    """A model of an ensemble, or the only model."""

    model: TrainedModel | Translator
    weight: float = 1.0


class Predictor:
    """The model in a run's folder ``model``.

    For a run on the user's own data, examples are a file's path, a frame with the training columns (others are
    ignored), or a list of texts, molecules or images. For a built-in task they are the task's raw arrays, (n, *shape),
    or texts to translate. Values need not have been seen in training.
    """

    def __init__(self, members: Sequence[Member], encoder: Reader | None, card: Mapping[str, Any]) -> None:
        self.members, self.encoder, self.card = tuple(members), encoder, card

    @property
    def model(self) -> TrainedModel | Translator:
        """The first model, usually the only one."""
        return self.members[0].model

    @property
    def target(self) -> str:
        """The name of the target."""
        return str(self.card.get("target") or "prediction")

    @property
    def levels(self) -> tuple[float, ...]:
        """The levels of the predicted quantiles; empty if none are predicted."""
        return levels_of(self.model.preprocessing.target) or () if isinstance(self.model, TrainedModel) else ()

    @property
    def offset(self) -> float:
        """The offset of the predicted numbers; 0 for anything else."""
        return self.model.preprocessing.target.offset if isinstance(self.model, TrainedModel) else 0.0

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that ``stream`` predicts: the target, or one per quantile."""
        return tuple(f"{self.target} {level:g}" for level in self.levels) or (self.target,)

    @property
    def predicts_rows(self) -> bool:
        """Whether ``stream`` gives a prediction for every row of a file, in order."""
        return self.encoder is not None and not self.encoder.id_columns

    @property
    def about_predictions(self) -> str | None:
        """A line that explains the predictions for a file; None if none is needed."""
        return None if self.encoder is None else self.encoder.about_predictions

    @property
    def why_none(self) -> str:
        """As ``Reader.why_none``."""
        return "" if self.encoder is None else self.encoder.why_none

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes; empty if the target is not a class."""
        return self.model.preprocessing.target.names if isinstance(self.model, TrainedModel) else ()

    def predict(self, examples: Any) -> NDArray[Any]:
        """The predicted class names, numbers or translations, (n,), or quantiles, (n, n_levels)."""
        if self.encoder is None and not isinstance(self.model, TrainedModel):
            return self._written([str(text) for text in examples])
        found = self._outputs(examples)
        return np.array(self.classes)[self.decisions(found)] if self.classes else found

    def decisions(self, probabilities: NDArray[Any]) -> NDArray[np.int64]:
        """The index of the predicted class of each row, (n,), by the model's threshold if there are two."""
        found: NDArray[np.int64] = decisions(probabilities, self.threshold)
        return found

    @property
    def threshold(self) -> float:
        """For two classes, the probability above which the second is predicted."""
        return float(self.card.get("threshold", DEFAULT_THRESHOLD))

    @property
    def shifts(self) -> Sequence[float]:
        """The shift added to the quantiles of each level; empty for none."""
        shifts: Sequence[float] = self.card.get("shifts", ())
        return shifts

    def predict_proba(self, examples: Any) -> NDArray[np.float64]:
        """The class probabilities, (n, n_classes). UserError if the target is not a class."""
        if not self.classes:
            raise UserError("only classifiers have probabilities; use predict")
        return self._outputs(examples)

    def stream(
        self, path: Path, unusable: Counter[str] | None = None, others: Sequence[str] = ()
    ) -> Iterator[pd.DataFrame]:
        """Predictions for the examples of a file or folder, in chunks, so that a file of rows need not fit in memory.

        ``unusable``: incremented, by column, by the number of values that are present but treated as missing.
        ``others``: names of columns that the caller adds. The first columns identify the example: row (from 1), file,
        or series and time, renamed if a target has that name. A column named like the target holds the prediction; for
        classes, there is also one with the probability of each. Predictions are missing for molecules and
        images that cannot be read, and for steps of a series at which its own value is missing. ``attrs[NOTES]`` of a
        chunk has lines about the file, and ``attrs[N_READ]`` the number of rows that it was made from.
        """
        import pandas as pd

        if self.encoder is None:
            raise UserError(
                "the model of a built-in task takes arrays, not files; use automl.load(run).predict(array) from Python"
            )
        n, taken = 0, {*self.columns, *others}
        row = "row number" if "row" in taken else "row"
        id_names = {name: f"{name} of the example" if name in taken else name for name in self.encoder.id_columns}
        for frame in self.encoder.frames(path, Counter() if unusable is None else unusable):
            found, readable = self._of_readable(self.encoder, frame)
            names = [name for name in id_names if name in frame]
            result = (
                frame[names].rename(columns=id_names).reset_index(drop=True)
                if names
                else pd.DataFrame({row: range(n + 1, n + 1 + len(frame))})
            )
            if self.classes:
                result[self.target] = _spread(np.array(self.classes, object)[self.decisions(found)], readable)
                for i, name in enumerate(self.classes):
                    result[f"probability of {name}"] = _spread(found[:, i], readable)
            else:
                columns = found.reshape(len(found), len(self.columns)).T
                for name, values in zip(self.columns, columns, strict=True):
                    result[name] = _spread(values, readable)
            n += len(frame)
            result.attrs = {NOTES: [], N_READ: len(frame)} | frame.attrs
            yield result

    def judge(self, raw: Callable[[str], NDArray[Any]]) -> NDArray[Any]:
        """The weighted mean of the members' predictions: probabilities, numbers or quantiles as in ``predictions``,
        without the target's offset, like prepared labels.

        ``raw``: returns the raw examples (n, *shape) that a model family reads.
        """
        mean: Any = 0.0
        read: dict[Any, tuple[Any, Any]] = {}  # the n-grams of texts are counted once for all members
        for member in self.members:
            assert isinstance(member.model, TrainedModel)
            x = raw(member.model.preprocessing.model)
            if isinstance(member.model, TrainedLearner) and len(x):
                reads = member.model.learner.read
                key = id(x), reads
                if key not in read:
                    read[key] = x, reads(x)  # with x, so that no other array gets its id
                mean = mean + member.weight * member.model.predict_read(read[key][1])
            else:
                mean = mean + member.weight * predictions(member.model, x)
        found: NDArray[Any] = mean
        if self.classes:
            return tempered(found, float(self.card.get("temperature", 1.0)))
        return shifted_quantiles(found, self.shifts)

    def deciding(self, raw: Callable[[str], NDArray[Any]]) -> NDArray[Any]:
        """As ``judge``, but the largest probability is always that of the predicted class."""
        found: NDArray[Any] = shifted(self.judge(raw), self.threshold) if self.classes else self.judge(raw)
        return found

    def _outputs(self, examples: Any) -> NDArray[Any]:
        if self.encoder is None:
            return self.whole(self.judge(lambda family: self._array(examples)))
        frame = self.encoder.as_frame(examples)
        found = self.of_frame(frame)
        # Not for a few rows, whose prediction may have to be quick.
        if len(frame) >= MIN_ROWS_TO_WARN and (doubt := about_unusable(self.encoder.unusable(frame), len(frame))):
            warnings.warn(doubt, UserWarning, stacklevel=3)
        return found

    def whole(self, found: NDArray[Any]) -> NDArray[Any]:
        """The result of ``judge`` with the target's offset added."""
        return np.add(found, self.offset, dtype=np.float64) if self.offset else found

    def of_frame(self, frame: pd.DataFrame) -> NDArray[Any]:
        """Probabilities, numbers or texts for rows as returned by the encoder's ``as_frame``."""
        assert self.encoder is not None
        if not isinstance(self.model, TrainedModel):
            return self._written(as_texts(frame, self.encoder.to_json()["source"]))
        assert isinstance(self.encoder, Encoder)
        arrays, views = self.encoder.encode(frame), self.encoder.views
        found = self.whole(self.judge(lambda family: arrays[views.of(family)]))
        lacks = self.encoder.without_prediction(frame)
        if lacks.any():
            found[lacks] = np.nan
        return found

    def _of_readable(self, encoder: Reader, frame: pd.DataFrame) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """As ``of_frame``, without the unreadable rows, and a mask (n,) of the readable ones."""
        try:
            return self.of_frame(frame), np.ones(len(frame), bool)
        except UserError:  # checked row by row only now, since usually all can be read
            readable = encoder.readable(frame)
            if readable.all():
                raise
        return self.of_frame(frame[readable]), readable

    def _written(self, texts: list[str]) -> NDArray[Any]:
        assert not isinstance(self.model, TrainedModel)
        return np.array(self.model(texts), dtype=object)

    def _array(self, examples: Any) -> NDArray[Any]:
        assert isinstance(self.model, TrainedModel)
        shape = self.model.preprocessing.inputs.shape
        array = np.asarray(examples)
        if array.shape[1:] != shape or array.dtype.kind not in "fiub":
            raise UserError(
                f"the model takes numbers of shape (n, {', '.join(map(str, shape))}), got {array.dtype} {array.shape}"
            )
        return array


def about_unusable(counts: Mapping[str, int], n: int) -> str:
    """A warning about columns of which most of n values count as missing; empty if there are none.

    ``counts``: the number of such values by column.
    """
    useless = [f"{name!r} ({count:,} of {n:,} rows)" for name, count in counts.items() if count > n / 2]
    if not useless or n < MIN_ROWS_TO_WARN:
        return ""
    return (
        f"most values of {', '.join(useless)} cannot be used and count as missing; write them as in the training data"
    )


def _spread(values: NDArray[Any], readable: NDArray[np.bool_]) -> NDArray[Any]:
    """The values at the readable rows, (n,), with NaN or None elsewhere."""
    spread = np.full(len(readable), None if values.dtype == object else np.nan, values.dtype)
    spread[readable] = values
    return spread


def predictions(model: TrainedModel, x: NDArray[Any]) -> NDArray[Any]:
    """Probabilities (n, n_classes), numbers (n,) or quantiles (n, n_levels) of a model for raw examples (n, *shape)."""
    target = model.preprocessing.target
    if not len(x):
        return np.zeros(0) if isinstance(target, Number) else np.zeros((0, target.n_outputs))
    return model.predict(x)


def load_predictor(folder: Path) -> Predictor:
    """The model of one target in a folder. UserError if there is none that predicts."""
    card, encoder = read_card(folder / CARD), None
    if parts := targets(card, folder):
        raise UserError(
            f"{str(folder)!r} has models of several targets, {', '.join(parts)}, and one of them is needed here; give "
            f"its folder, such as {str(next(iter(parts.values())))!r}"
        )
    if (folder / ENCODER).is_file():
        with loading(folder / ENCODER):
            encoder, facts = load_encoder(folder)
            card.setdefault("target", facts["target"])
    predictor = Predictor([Member(_load(place), weight) for place, weight in members(card, folder)], encoder, card)
    with loading(folder / CARD):
        if len(predictor.shifts) not in (0, len(predictor.levels)):
            raise ValueError("its shifts are not one per quantile")
    return predictor


def _load(folder: Path) -> TrainedModel | Translator:
    if not (folder / PREPROCESSING).is_file():
        raise UserError(
            f"{str(folder)!r} has no model that predicts: there is no {PREPROCESSING} in it; "
            "runs of built-in tasks and on your own data write one"
        )
    with loading(folder):
        kind = json.loads((folder / PREPROCESSING).read_text(encoding="utf-8"))["model"]
        if kind == "language":
            raise UserError(
                f"{str(folder)!r} has a language model, which predicts characters; "
                "load it with automl.models.trained_language.load_language_model"
            )
        if kind.startswith("seq2seq-"):
            from automl.models.trained_seq2seq import load_translator

            translator = load_translator(folder)
            translator([""], beam=1)
            return translator
        model = load_model(folder)
        inputs = model.preprocessing.inputs
        example = np.full((1, *inputs.shape), inputs.kind == "tokens", np.float32)
        predictions(model, text_array([""]) if inputs.kind == "texts" else example)  # check that the parts fit together
        return model


def model_folder(run: str | Path) -> Path:
    """The folder of the model of a run, or of a copy of it. UserError if there is none."""
    from automl.study.run_folder import RunFolder

    place = Path(run).expanduser()
    if not place.is_dir():
        raise UserError(f"there is no folder {str(place)!r}; give that of a run, by default in runs/, or of its model")
    folder = RunFolder(place).model
    if not folder.is_dir() and RunFolder(place).model_before.is_dir():
        folder = RunFolder(place).model_before  # an update was killed in its last step
    if not folder.is_dir():
        if (place / "study.db").exists():
            raise UserError(
                f"the run in {str(place)!r} has no model: an interrupted run gets it when it is continued, automl run "
                f"--resume --out {shlex.quote(str(place))}; --final-seeds 0, a command or a function gives none"
            )
        if not (place / CARD).is_file() and not (place / PREPROCESSING).is_file():
            raise RunFolder(place).no_run()
        folder = place
    # An update changes the link; all files must be read from the same version.
    return folder.resolve() if folder.is_symlink() else folder
