"""The base of the estimators: a cross-validated run on a frame, and its model's files held in memory."""

from __future__ import annotations

import io
import json
import tempfile
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from automl.data.ingest.notes import DataWarning
from automl.errors import UserError
from automl.estimators.parameters import check_parameters, in_python

if TYPE_CHECKING:
    import pandas as pd

    from automl.runs.session import Session
    from automl.runs.settings import Settings
    from automl.runs.time_plan import Clock
    from automl.study.run_folder import RunFolder
    from automl.tuning.executor import Executor

ESTIMATOR = "estimator.json"
MODEL = "model"


class AutoMLEstimator(BaseEstimator):  # type: ignore[misc]
    """Chooses, tunes and combines models for a table within a time limit."""

    _kind: ClassVar[str]
    _predictor: Any

    def __init__(
        self,
        *,
        time_limit: float = 300.0,
        metric: str | None = None,
        models: str | Sequence[str] = "auto",
        max_members: int | None = None,
        max_latency: float | None = None,
        n_trials: int | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = 0,
        folder: str | Path | None = None,
        progress: bool = False,
    ) -> None:
        self.time_limit = time_limit
        self.metric = metric
        self.models = models
        self.max_members = max_members
        self.max_latency = max_latency
        self.n_trials = n_trials
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.folder = folder
        self.progress = progress

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None) -> Self:
        """Fit to a frame (n, columns) of raw numbers, categories, strings and dates, or to an array.

        ``y``: the target, (n,). ``sample_weight``: the weight of each row, (n,); rows with weight 0 are left out.
        ``groups``: the group of each row, (n,); rows of a group stay in one fold. Raises ValueError for data that no
        model can be fitted to.
        """
        try:
            check_parameters(self.get_params())
        except UserError as error:
            raise ValueError(str(error)) from error
        frame = self._frame(X, reset=True)
        if sample_weight is not None:
            if isinstance(sample_weight, Real):
                sample_weight = np.full(len(frame), sample_weight)
            _check_complete(sample_weight, "sample_weight")
            frame, y, sample_weight, groups = _with_weight(frame, y, sample_weight, groups)
        _check_complete(y, "y")
        with ExitStack() as stack:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="automl-")))
            run = place / "run" if self.folder is None else Path(self.folder).expanduser()
            try:
                cards = self._fit_all(frame, y, {"group": groups, "weight": sample_weight}, place, run)
            except UserError as error:
                raise ValueError(in_python(str(error))) from error
            self._keep(run / MODEL)
        for note in self.notes_:
            if isinstance(note, DataWarning):
                warnings.warn(note, UserWarning, stacklevel=2)
        if doubts := _baseline_warning(cards):
            warnings.warn(in_python(doubts), UserWarning, stacklevel=2)
        return self

    def _fit_all(
        self, frame: pd.DataFrame, y: Any, about_rows: Mapping[str, Any], place: Path, run: Path
    ) -> dict[str, dict[str, Any]]:
        """Fit to a single target; returns the model cards, by target."""
        card = self._fit(frame, y, about_rows, place, run, self.time_limit, self.max_latency)
        self.score_out_of_fold_: float = card["validation"]
        self.baseline_: dict[str, Any] = baseline_of(card)
        return {str(card["target"]): card}

    def _fit(
        self,
        frame: pd.DataFrame,
        y: Any,
        about_rows: Mapping[str, Any],
        place: Path,
        run: Path,
        seconds: float,
        latency: float | None,
    ) -> dict[str, Any]:
        """Fit to one target; returns the model card. ``place``: for the data. ``latency``: as ``max_latency``."""
        from automl.data.ingest.prepare import prepare
        from automl.data.ingest.request import Request
        from automl.runs.settings import Settings
        from automl.runs.time_plan import Clock
        from automl.study.run_folder import RunFolder
        from automl.tasks.cross_validated import forget_data

        clock, labels = Clock(), self._labels(y, len(frame))
        frame = frame.copy(deep=False)
        target = _new_name(str(getattr(y, "name", None) or "target"), frame)
        frame[target] = labels
        columns: dict[str, Any] = {}  # by the option that names them
        for role, values in about_rows.items():
            if values is not None:
                values = column_or_1d(values)
                check_consistent_length(labels, values)
                columns[role] = _new_name(role, frame)
                frame[columns[role]] = values
        file = place / "table.parquet"
        _of_one_type(frame).to_parquet(file)
        kind, spelled = f"table,{self._kind}", self._kind == "classification"
        levels = getattr(self, "quantiles", None)  # classifiers have none
        columns["quantiles"] = None if levels is None else list(levels)
        request = Request(
            str(file), target=target, kind=kind, as_given=True, no_test=True, spelled=spelled, **columns
        ).checked()
        self.notes_ = prepare(request, place / "data").notes
        families = self.models if isinstance(self.models, str) else ",".join(self.models)
        settings = Settings(
            data=asdict(request), model=families, metric=self.metric, time_limit=seconds,
            n_trials=self.n_trials, n_workers=self._n_workers, seed=self._seed(), device="cpu",
            ensemble=self.max_members, max_latency=latency, learn=False, from_python=True,
        )  # fmt: skip
        try:
            return self._search(settings, place / "data", RunFolder(run), clock)
        finally:
            forget_data()  # another fit may write other data to the same folder

    @property
    def _n_workers(self) -> int:
        """The number of worker processes; as in scikit-learn, -1 is one per core, -2 one less."""
        from automl.runs.settings import default_workers

        n_cores = default_workers("cpu")
        n = n_cores if self.n_jobs is None else self.n_jobs
        return max(1, n_cores + 1 + n) if n < 0 else n

    def _seed(self) -> int:
        """The seed of a search, drawn if ``random_state`` is a generator or None."""
        given = self.random_state
        if given is None or isinstance(given, np.random.RandomState):
            return int(check_random_state(given).randint(np.iinfo(np.int32).max))
        return given

    def _search(self, asked: Settings, data: Path, folder: RunFolder, clock: Clock) -> dict[str, Any]:
        from automl.analysis.sentences import commonest_error
        from automl.runs.configure import new_settings, with_folds
        from automl.runs.session import Session
        from automl.runs.settings import build_task
        from automl.tuning.progress import progress

        settings = new_settings(with_folds(asked, data), None, [], prepared=data)
        session = Session.of(settings, build_task(settings, data), folder, clock)
        display = progress() if self.progress else None
        with session.searching(warn=_warn, display=display, data=data, executor=_in_this_process(session)) as search:
            session.plan.begin()
            result = search.tuner.run()
            if result.stop_reason == "interrupted":
                raise KeyboardInterrupt
            about = {"strategy": settings.strategy, "seed": settings.seed, "n_trials": len(result.trials)}
            about["started"] = settings.started
            card = session.ensemble(search.tuner, about, watch=lambda line: None, say=_warn)
        if card is None:
            failed = f"no configuration could be trained within {settings.time_limit:g} seconds"
            way_out = "give a larger time_limit if that is too short."
            raise ValueError(" ".join([f"{failed}; {way_out}", *commonest_error(result.study)]))
        self.leaderboard_ = _leaderboard(result.to_frame(), card)
        return card

    @property
    def predictor_(self) -> Any:
        """The model, as returned by ``automl.load``."""
        check_is_fitted(self)
        if self._predictor is None:
            from automl.deployment.several_targets import load

            with tempfile.TemporaryDirectory(prefix="automl-") as place:
                self._extract(Path(place))
                self._predictor = load(place)
        return self._predictor

    def save(self, path: str | Path) -> None:
        """Write the model to a new folder, without pickle. ``automl.load`` reads it too.

        Raises FileExistsError if the folder is not empty.
        """
        check_is_fitted(self)
        if Path(path).exists() and any(Path(path).iterdir()):
            raise FileExistsError(f"the folder {str(path)!r} is not empty; choose another one")
        facts = {"estimator": type(self).__name__, "parameters": self.get_params() | {"folder": None}, **self._facts()}
        content = json.dumps(facts, indent=2, default=_plain)
        self._extract(Path(path))
        (Path(path) / ESTIMATOR).write_text(content + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Load the estimator that ``save`` wrote to a folder. Raises ValueError if there is none."""
        try:
            facts = json.loads((Path(path) / ESTIMATOR).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ValueError(f"there is no {ESTIMATOR} in {str(path)!r}; give a folder written by save") from None
        saved = facts.get("estimator", cls.__name__)
        if saved != cls.__name__:
            raise ValueError(f"{str(path)!r} holds an {saved}; load it with {saved}.load or automl.load")
        found = cls(**facts["parameters"])
        found._restore(facts)
        found._keep(Path(path))
        return found

    def _keep(self, folder: Path) -> None:
        """Hold the files of a model in memory, so that the estimator can be copied and pickled."""
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.rglob("*")):
                if file.is_file():
                    archive.write(file, file.relative_to(folder))
        self._archive = content.getvalue()
        self._predictor = None
        assert self.predictor_ is not None  # loaded now, as predict must not change the estimator

    def _extract(self, folder: Path) -> None:
        with zipfile.ZipFile(io.BytesIO(self._archive)) as archive:
            archive.extractall(folder)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return state | {"_predictor": None}  # loaded again when it is needed

    def _frame(self, X: Any, *, reset: bool) -> pd.DataFrame:
        """The inputs as a frame; the columns of an array are named by position, or as in the frame of ``fit``."""
        import pandas as pd

        if isinstance(X, pd.DataFrame):
            names = X.columns.map(str)
            if names.has_duplicates:
                double = names[names.duplicated()][0]
                raise ValueError(f"the frame has two columns named {double!r}; rename one of them")
            validate_data(self, X, reset=reset, skip_check_array=True)
            if reset:
                self._columns = list(names)
            return X.reset_index(drop=True).set_axis(names, axis=1)
        try:
            X = validate_data(self, X, reset=reset, dtype="numeric", ensure_all_finite="allow-nan")
        except ValueError as error:
            if "could not convert string to float" not in str(error):
                raise
            raise ValueError(f"{error}; columns of strings need a pandas DataFrame") from error
        if reset:
            self._columns = [f"x{place}" for place in range(X.shape[1])]
        return pd.DataFrame(X, columns=self._columns)

    def _facts(self) -> dict[str, Any]:
        names = getattr(self, "feature_names_in_", None)
        return {
            "n_features": self.n_features_in_,
            "feature_names": None if names is None else list(names),
            "columns": self._columns,
        }

    def _restore(self, facts: dict[str, Any]) -> None:
        self.n_features_in_, self._columns = facts["n_features"], facts["columns"]
        if facts["feature_names"] is not None:
            self.feature_names_in_ = np.array(facts["feature_names"], object)

    def _labels(self, y: Any, n: int) -> NDArray[Any]:
        raise NotImplementedError

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.non_deterministic = True  # what is tried depends on timing
        return tags


def _warn(line: str) -> None:
    warnings.warn(in_python(line), UserWarning, stacklevel=5)


def _plain(value: Any) -> Any:
    """A parameter of NumPy's as JSON; a generator, whose state has changed since, becomes null."""
    return None if isinstance(value, np.random.RandomState) else value.tolist()


def baseline_of(card: Mapping[str, Any]) -> dict[str, Any]:
    """The name and out-of-fold score of the baseline."""
    return {name: card["baseline"][name] for name in ("name", "score")}


def _baseline_warning(cards: Mapping[str, Mapping[str, Any]]) -> str:
    """A warning about models not better than their baselines, by target if there are several; empty if none."""
    from automl.analysis.ensembles import not_better_than_baseline

    found = {target: not_better_than_baseline(card) for target, card in cards.items()}
    return "\n".join(f"{target}: {doubt}" if len(cards) > 1 else doubt for target, doubt in found.items() if doubt)


def _check_complete(values: Any, name: str) -> None:
    """ValueError if values of rows are missing, which NumPy cannot sort or takes as a class."""
    import pandas as pd

    missing = np.asarray(pd.isna(values if hasattr(values, "iloc") else np.asarray(values)))
    n = int(missing.reshape(len(missing), -1).any(1).sum()) if missing.ndim else 0
    if n:
        raise ValueError(f"{name} has missing values in {n:,} row{'s' * (n != 1)}")


def _with_weight(frame: pd.DataFrame, y: Any, weights: Any, groups: Any) -> tuple[pd.DataFrame, Any, Any, Any]:
    """The rows whose weight is not zero."""
    weights = column_or_1d(weights)
    weights = weights.astype(float) if weights.dtype.kind == "b" else weights
    check_consistent_length(frame, y, weights, groups)
    if (negative := np.asarray(weights) < 0).any():
        row = int(negative.argmax())
        raise ValueError(f"sample_weight must not be negative, but it is {np.asarray(weights)[row]} in row {row + 1:,}")
    counts = weights != 0
    if not counts.any():
        raise ValueError("all sample weights are zero")
    if counts.all():
        return frame, y, weights, groups
    y, groups = (part if part is None or hasattr(part, "iloc") else np.asarray(part) for part in (y, groups))
    return frame[counts], y[counts], weights[counts], None if groups is None else groups[counts]


def _of_one_type(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with columns that a file cannot hold converted: mixed types, intervals, periods and categories that are
    numbers to strings, sparse columns to dense ones."""
    import pandas as pd

    from automl.data.ingest.read_table import plain_text

    def is_strange(values: pd.Series[Any]) -> bool:
        if isinstance(values.dtype, pd.CategoricalDtype):  # a file would have numbers in place of numeric categories
            return values.cat.categories.dtype.kind not in "OM" or is_mixed(values.cat.categories)
        return is_mixed(values)

    def is_mixed(values: pd.Series[Any] | pd.Index[Any]) -> bool:
        return pd.api.types.infer_dtype(values, skipna=True).startswith(("mixed", "interval", "period"))

    sparse = [name for name in frame.columns if isinstance(frame[name].dtype, pd.SparseDtype)]
    frame = frame.assign(**{name: np.asarray(frame[name]) for name in sparse})
    strange = [name for name in frame.columns if is_strange(frame[name])]
    return frame.assign(**{name: frame[name].astype(object).map(plain_text, na_action="ignore") for name in strange})


def _in_this_process(session: Session) -> Executor | None:
    """An executor in this process, for a single worker whose trainings may share a process; else None."""
    from automl.tasks.cross_validated import CrossValidated
    from automl.tuning.executor import SerialExecutor

    assert isinstance(session.task, CrossValidated)
    alone = session.settings.n_workers == 1 and len(session.task.runtimes) == 1
    return SerialExecutor(session.task) if alone else None


def _new_name(name: str, frame: pd.DataFrame) -> str:
    """A name for a new column."""
    while name in frame:
        name += "_"
    return name


def _leaderboard(trials: pd.DataFrame, card: Mapping[str, Any]) -> pd.DataFrame:
    """One row per configuration, the best first."""
    from automl.analysis.ensembles import members

    weights = {member.trial: member.weight for member in members(card)}
    complete = trials[trials["state"] == "complete"]
    board = complete.assign(weight=[weights.get(number, 0.0) for number in complete["trial"]])
    return board.sort_values("loss").reset_index(drop=True)
