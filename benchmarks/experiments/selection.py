"""Rules to choose the members of a table's ensemble: ``python -m benchmarks.experiments.selection``.

The default plan is run on few rows of each development table, and every completed configuration is fitted to these rows
and predicts the others. The rules are then compared on the stored predictions, which takes seconds.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray

from automl.deployment.ensemble import greedy_ensemble
from automl.errors import UserError
from automl.metrics import measure
from automl.runs.member_candidates import MAX_CANDIDATES
from benchmarks.command import run_command
from benchmarks.suites.own_files import FILES, UsersFile

N_ROWS = 300  # to train on
MODELS = "lightgbm,linear,extra_trees,random_forest"
MAX_TEST_ROWS = 4_000
MAX_SECONDS = 1_000.0  # of a run, never reached because of its number of trials
LARGE_SEARCH = 15  # searched configurations used by a rule
N_BAGS = 20  # bootstrap samples
TABLES = [file for file in FILES if file.kind == "table" and file.split == "development"]


@dataclass(frozen=True)
class StoredPredictions:
    """The predictions of a run's configurations, by out-of-fold loss: (k, n) or (k, n, n_classes)."""

    out_of_fold: NDArray[Any]
    test: NDArray[Any]
    y: NDArray[Any]
    y_test: NDArray[Any]
    folds: NDArray[Any]
    is_preset: NDArray[np.bool_]
    metric: str

    @classmethod
    def read(cls, file: Path) -> Self:
        """The content of a file written by ``collect``."""
        with np.load(file, allow_pickle=False) as content:
            return cls(**{**content, "metric": str(content["metric"])})

    def losses(self, predicted: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
        """The log loss or squared error of each row."""
        found: NDArray[Any] = (predicted - y) ** 2 if predicted.ndim == 1 else -np.log(_of_right(predicted, y))
        return found

    def error(self, weights: dict[int, float]) -> float:
        """The log loss or RMSE of a weighted mean on the test rows."""
        loss = float(self.losses(_mixed(self.test, weights), self.y_test).mean())
        return loss if self.test.ndim == 3 else loss**0.5


Rule = Callable[[StoredPredictions], dict[int, float]]


def _of_right(probabilities: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    found: NDArray[Any] = np.maximum(probabilities[np.arange(len(y)), y], 1e-15)
    return found


def _mixed(predictions: NDArray[Any], weights: dict[int, float]) -> NDArray[Any]:
    total: NDArray[Any] = np.sum([weight * predictions[i] for i, weight in weights.items()], axis=0)
    return total


def _greedy(store: StoredPredictions, places: NDArray[Any], rows: Any = slice(None)) -> dict[int, float]:
    """Greedy weights of the configurations at ``places``, from some of the rows."""
    y = store.y[rows]
    shown = [store.out_of_fold[place][rows] for place in places]
    found = greedy_ensemble(shown, lambda predicted: float(store.losses(predicted, y).mean()), len(shown))
    return {int(places[i]): weight for i, weight in found.items()}


def _best(store: StoredPredictions) -> int:
    return int(np.argmin([store.losses(predicted, store.y).mean() for predicted in store.out_of_fold]))


def _candidates(store: StoredPredictions) -> NDArray[Any]:
    return np.flatnonzero((np.arange(len(store.is_preset)) < MAX_CANDIDATES) | store.is_preset)


def best_alone(store: StoredPredictions) -> dict[int, float]:
    return {_best(store): 1.0}


def greedy(store: StoredPredictions) -> dict[int, float]:
    return _greedy(store, _candidates(store))


def greedy_beyond_noise(store: StoredPredictions) -> dict[int, float]:
    """The best alone, unless the ensemble improves on it by more than one standard error."""
    weights, best = greedy(store), _best(store)
    gains = store.losses(store.out_of_fold[best], store.y) - store.losses(_mixed(store.out_of_fold, weights), store.y)
    return weights if gains.mean() > gains.std(ddof=1) / np.sqrt(len(gains)) else {best: 1.0}


def greedy_presets(store: StoredPredictions) -> dict[int, float]:
    return _greedy(store, presets(store))


def presets(store: StoredPredictions) -> NDArray[Any]:
    return np.flatnonzero(store.is_preset)


def some_searched(n: int) -> Callable[[StoredPredictions], NDArray[Any]]:
    """All presets and the best searched configurations."""
    return lambda store: np.sort(np.concatenate([presets(store), np.flatnonzero(~store.is_preset)[:n]]))


def greedy_some_searched(n: int) -> Rule:
    return lambda store: _greedy(store, some_searched(n)(store))


def greedy_by_rows(rows_each: int) -> Rule:
    """All presets, and one searched configuration per ``rows_each`` rows."""
    return lambda store: greedy_some_searched(len(store.y) // rows_each)(store)


def bagged_greedy(places_of: Callable[[StoredPredictions], NDArray[Any]] = _candidates, max_members: int = 99) -> Rule:
    """The mean of greedy weights on N_BAGS bootstrap samples of the rows, for up to ``max_members`` configurations."""

    def rule(store: StoredPredictions) -> dict[int, float]:
        rng = np.random.default_rng(0)
        places = places_of(store)
        total: dict[int, float] = {}
        for _ in range(N_BAGS):
            rows = rng.integers(0, len(store.y), len(store.y))
            for place, weight in _greedy(store, places, rows).items():
                total[place] = total.get(place, 0.0) + weight / N_BAGS
        kept = sorted(total, key=lambda place: -total[place])[:max_members]
        return {place: total[place] / sum(total[each] for each in kept) for place in kept}

    return rule


def shrunk_greedy(share: float) -> Rule:
    """Greedy weights, mixed with equal weights of all presets."""

    def rule(store: StoredPredictions) -> dict[int, float]:
        places = np.flatnonzero(store.is_preset)
        total = {place: (1.0 - share) * weight for place, weight in greedy(store).items()}
        for place in places:
            total[int(place)] = total.get(int(place), 0.0) + share / len(places)
        return total

    return rule


RULES: dict[str, Rule] = {
    "best alone": best_alone,
    "greedy, the best alone unless beyond noise": greedy_beyond_noise,
    "greedy": greedy,
    "greedy of presets": greedy_presets,
    "greedy of presets and the best 5 searched": greedy_some_searched(5),
    f"greedy of presets and the best {LARGE_SEARCH} searched": greedy_some_searched(LARGE_SEARCH),
    "greedy of presets and a searched one for each 100 rows": greedy_by_rows(100),
    f"greedy on {N_BAGS} bootstrap samples": bagged_greedy(),
    f"greedy of presets on {N_BAGS} bootstrap samples": bagged_greedy(presets),
    f"greedy on {N_BAGS} bootstrap samples, at most 8 members": bagged_greedy(max_members=8),
    f"greedy on {N_BAGS} bootstrap samples, at most 5 members": bagged_greedy(max_members=5),
    f"greedy of presets and the best 5 searched on {N_BAGS} bootstrap samples": bagged_greedy(some_searched(5)),
    "greedy, a quarter of the weight equal for presets": shrunk_greedy(0.25),
}


def collect(file: UsersFile, draw: int, n_trials: int, out: Path) -> None:
    """Run the default plan on a sample of a table, and store each configuration's predictions."""
    from automl.estimators import AutoMLClassifier, AutoMLRegressor

    folder = out.with_suffix(".run")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    frame = pd.read_csv(file.data.write(folder, file.target)).sample(frac=1.0, random_state=draw)
    is_class = frame[file.target].dtype == object or file.options.get("kind") == "classification"
    train, test = frame[:N_ROWS], frame[N_ROWS:][:MAX_TEST_ROWS]
    kind = AutoMLClassifier if is_class or isinstance(frame[file.target].dtype, pd.StringDtype) else AutoMLRegressor
    model = kind(
        n_trials=n_trials, time_limit=MAX_SECONDS, models=MODELS, n_jobs=1, folder=folder / "run", random_state=draw
    )  # fmt: skip
    model.fit(train.drop(columns=file.target), train[file.target])
    np.savez(out, **stored(folder / "run", model, test, file.target))
    shutil.rmtree(folder)


def stored(run: Path, model: Any, test: pd.DataFrame, target: str) -> dict[str, Any]:
    """The fields of a ``StoredPredictions``, with every complete configuration fitted to all rows."""
    from automl.data.ingest.kinds import load_encoder
    from automl.models import own_config
    from automl.models.learners import learner_class
    from automl.tasks.cross_validated import cross_validated
    from automl.tasks.families import presets
    from automl.training.fold_files import model_places, read_predictions, read_record
    from automl.training.folds import train

    task = cross_validated(run / "data", 8, MODELS, None)
    encoder, _ = load_encoder(run / "data" / "encoder")
    splits, folds = task.rows("lightgbm"), task.folds()  # a table's rows are the same for all families
    classes = list(splits.classes)
    if classes:
        test = test[test[target].astype(str).isin(classes)]
    x_test = encoder.encode(test.drop(columns=target).rename(columns=str))["columns"]  # type: ignore[attr-defined]
    y_test = test[target].astype(str).map(classes.index) if classes else test[target]
    n_presets = len(presets(task.space))
    found = []
    for place in sorted((run / "trials").glob("*/record.json")):
        record, number = read_record(place.parent), int(place.parent.name)
        if len(record["losses"]) < task.max_epochs:
            continue
        list(train(task, record["config"], seed=record["seed"], epochs=task.max_epochs + 1, folder=place.parent))
        family = record["config"]["model"]
        own, learner = own_config(family, record["config"]), learner_class(family)
        places = model_places(place.parent, learner, task.max_epochs)
        fitted = [learner.load(each, own, splits.inputs, splits.target) for each in places]
        predicted = np.mean([each.predict(x_test) for each in fitted], axis=0)
        found.append((record["losses"][-1], number < n_presets, read_predictions(place.parent), predicted))
    found.sort(key=lambda each: each[0])
    return {
        "out_of_fold": np.array([each[2] for each in found], np.float64),
        "test": np.array([each[3] for each in found]),
        "y": splits.y_train,
        "y_test": np.asarray(y_test),
        "folds": folds,
        "is_preset": np.array([each[1] for each in found]),
        "metric": task.metric,
    }


def compared(stores: dict[str, StoredPredictions]) -> pd.DataFrame:
    """The test error of each rule on each table: log loss or RMSE, and the task's metric."""
    rows = []
    for name, store in stores.items():
        for rule, choose in RULES.items():
            weights = choose(store)
            metric = measure(store.metric, store.y_test, _mixed(store.test, weights))
            rows.append(
                {
                    "table": name, "rule": rule, "error": store.error(weights), store.metric: metric,
                    "members": len(weights), "configurations": len(store.is_preset),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """By rule: the geometric mean of its errors relative to the best configuration alone, and where it is better."""
    wide = rows.assign(error=np.log(rows["error"])).pivot(index="table", columns="rule", values="error")
    gains = wide.sub(wide["best alone"], axis=0)
    tables = gains.groupby(gains.index.str.partition(" ").get_level_values(0)).mean()
    return pd.DataFrame(
        {
            "error / best alone": np.exp(tables.mean()).round(4),
            "worst table": np.exp(tables.max()).round(3),
            "better in": (gains < 0).sum().astype(str) + f" of {len(gains)}",
            "members": rows.groupby("rule")["members"].mean().round(1),
        }
    ).loc[list(RULES)]


def main(
    store: Annotated[Path, typer.Option(help="Folder with stored predictions, to which missing ones are added.")],
    trials: Annotated[int, typer.Option(help="Budget of a run, in full trainings.")] = 30,
    only: Annotated[str | None, typer.Option(help="Tables, separated by commas. [default: all]")] = None,
    draws: Annotated[int, typer.Option(help="Random samples per table.")] = 2,
    out: Annotated[Path, typer.Option(help="Table to write.")] = Path("results/selection.csv"),
    replay: Annotated[bool, typer.Option("--replay", help="Only compare the stored predictions.")] = False,
) -> None:
    """Run what is not stored yet, compare the rules, and write the table."""
    store.mkdir(parents=True, exist_ok=True)
    names = [file.name for file in TABLES] if only is None else only.split(",")
    wanted = [(file, draw) for draw in range(draws) for name in names for file in TABLES if file.name == name]
    for file, draw in [] if replay else wanted:
        place = store / f"{file.name}-{draw}.npz"
        if not place.exists():
            collect(file, draw, trials, place)
            print(place, flush=True)
    stores = {path.stem.replace("-", " "): StoredPredictions.read(path) for path in sorted(store.glob("*.npz"))}
    if not stores:
        raise UserError(f"nothing is stored in {str(store)!r}; leave --replay out")
    rows = compared(stores)
    rows.to_csv(out, index=False, float_format="%.6g")
    print(summary(rows).to_string())


if __name__ == "__main__":
    run_command(main)
