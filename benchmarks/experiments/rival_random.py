"""Random search on LightGBM for one prepared table, as a practitioner writes it: five folds with early stopping.

Arguments: a folder with ``rows.npz``, seconds, threads. Writes ``predictions.npy`` and prints the seconds.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

start = time.perf_counter()

import lightgbm  # noqa: E402
import numpy as np  # noqa: E402
from sklearn.model_selection import KFold, StratifiedKFold  # noqa: E402

N_FOLDS = 5
MAX_ROUNDS, PATIENCE = 5_000, 50
FINAL = 1.5  # times the seconds of a fold are reserved for the fit to all rows
SPACE = {  # mostly that of Optuna's example for LightGBM; low, high, whether on a log scale
    "learning_rate": (0.01, 0.3, True),
    "num_leaves": (4, 256, True),
    "min_data_in_leaf": (1, 100, True),
    "feature_fraction": (0.4, 1.0, False),
    "bagging_fraction": (0.4, 1.0, False),
    "lambda_l1": (1e-8, 10.0, True),
    "lambda_l2": (1e-8, 10.0, True),
}
COUNTS = ("num_leaves", "min_data_in_leaf")


def draw(rng: np.random.Generator) -> dict[str, float]:
    """A configuration."""
    config = {}
    for name, (low, high, log) in SPACE.items():
        value = float(np.exp(rng.uniform(np.log(low), np.log(high))) if log else rng.uniform(low, high))
        config[name] = round(value) if name in COUNTS else value
    return config | {"bagging_freq": 1}


class ScoredConfig(NamedTuple):
    """A cross-validated configuration."""

    loss: float
    config: dict[str, float]
    rounds: int
    fold_seconds: float  # of the longest fold


def ending(is_late: Callable[[], bool]) -> Callable[[Any], None]:
    """A callback that ends a fit when it is late."""

    def end(state: Any) -> None:
        if is_late():
            raise lightgbm.callback.EarlyStopException(state.iteration, state.evaluation_result_list)

    return end


def main(folder: Path, seconds: float, threads: int) -> None:
    rows = np.load(folder / "rows.npz")
    x, y, x_test = np.array(rows["x"], np.float64), rows["y"], np.array(rows["x_test"], np.float64)
    categories = [int(place) for place in rows["categories"]]
    for part in (x, x_test):
        codes = part[:, categories]
        part[:, categories] = np.where(codes == 0, np.nan, codes)
    n_classes = int(rows["n_classes"])
    objective: dict[str, Any] = {"objective": "regression", "metric": "rmse"}
    if n_classes:
        objective = {"objective": "multiclass", "metric": "multi_logloss", "num_class": n_classes}
    fixed = objective | {"num_threads": threads, "verbosity": -1, "seed": 0}
    folds = list((StratifiedKFold if n_classes else KFold)(N_FOLDS, shuffle=True, random_state=0).split(x, y))
    rng, best = np.random.default_rng(0), ScoredConfig(np.inf, {}, 1, 0.0)
    config: dict[str, float] = {}  # the defaults first

    def is_late(begin: float) -> bool:
        """Whether there is only time for the fit to all rows. ``begin``: of the fold that is being trained."""
        now = time.perf_counter()
        return now - start + FINAL * (best.fold_seconds or now - begin) > seconds

    while not is_late(time.perf_counter()):
        losses, rounds, longest = [], [], 0.0
        for train, valid in folds:
            begin = time.perf_counter()
            data = lightgbm.Dataset(x[train], y[train], categorical_feature=categories)
            callbacks: list[Callable[..., Any]] = [
                lightgbm.early_stopping(PATIENCE, verbose=False),
                ending(partial(is_late, begin)),
            ]
            held = [data.create_valid(x[valid], y[valid])]
            model = lightgbm.train(fixed | config, data, MAX_ROUNDS, held, callbacks=callbacks)
            longest = max(longest, time.perf_counter() - begin)
            losses.append(model.best_score["valid_0"][objective["metric"]])
            rounds.append(model.best_iteration)
            if is_late(begin):
                break
        is_first = not best.fold_seconds
        if (is_first or len(losses) == N_FOLDS) and np.mean(losses) < best.loss:
            best = ScoredConfig(float(np.mean(losses)), config, max(1, round(np.mean(rounds))), longest)
        config = draw(rng)
    config, n_rounds = best.config, best.rounds
    model = lightgbm.train(fixed | config, lightgbm.Dataset(x, y, categorical_feature=categories), n_rounds)
    np.save(folder / "predictions.npy", model.predict(x_test))
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
