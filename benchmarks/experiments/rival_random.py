"""Random search on LightGBM for one prepared table, as a practitioner writes it: five folds with early stopping.

Arguments: a folder with ``rows.npz``, seconds, threads. Writes ``predictions.npy`` and prints the seconds.
"""

import sys
import time
from pathlib import Path
from typing import Any

start = time.perf_counter()

import lightgbm  # noqa: E402
import numpy as np  # noqa: E402
from sklearn.model_selection import KFold, StratifiedKFold  # noqa: E402

N_FOLDS = 5
MOST_ROUNDS, PATIENCE = 5_000, 50
RESERVED = 1.5  # times the longest trial: a trial starts only if this much is left, for it and the fit to all rows
SPACE = {  # the ranges of LightGBM's guide to parameters tuning; low, high, whether on a log scale
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
    rng, longest = np.random.default_rng(0), 0.0
    best: tuple[float, dict[str, float], int] = (np.inf, {}, 1)
    few = n_classes and np.bincount(y, minlength=n_classes)[np.unique(y)].min() < N_FOLDS
    kind = StratifiedKFold if n_classes and not few else KFold
    folds = list(kind(N_FOLDS, shuffle=True, random_state=0).split(x, y))
    config: dict[str, float] = {}  # the defaults first
    while not longest or time.perf_counter() - start + RESERVED * longest < seconds:
        begin, losses, rounds = time.perf_counter(), [], []
        for train, valid in folds:
            data = lightgbm.Dataset(x[train], y[train], categorical_feature=categories)
            stop = lightgbm.early_stopping(PATIENCE, verbose=False)
            held = [data.create_valid(x[valid], y[valid])]
            model = lightgbm.train(fixed | config, data, MOST_ROUNDS, held, callbacks=[stop])
            losses.append(model.best_score["valid_0"][objective["metric"]])
            rounds.append(model.best_iteration)
        if np.mean(losses) < best[0]:
            best = (float(np.mean(losses)), config, max(1, round(np.mean(rounds))))
        longest = max(longest, time.perf_counter() - begin)
        config = draw(rng)
    _, config, n_rounds = best
    model = lightgbm.train(fixed | config, lightgbm.Dataset(x, y, categorical_feature=categories), n_rounds)
    np.save(folder / "predictions.npy", model.predict(x_test))
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
