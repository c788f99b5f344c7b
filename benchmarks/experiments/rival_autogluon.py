"""AutoGluon on one prepared table, run by the Python of its own environment; imports nothing of this repository.

Arguments: a folder with ``rows.npz``, seconds, threads, quality. Writes ``predictions.npy`` and prints the seconds.
"""

import sys
import time
from pathlib import Path

start = time.perf_counter()

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

METRICS = {"rmse": "root_mean_squared_error"}  # other names are the same


def main(folder: Path, seconds: float, threads: int, quality: str) -> None:
    from autogluon.tabular import TabularPredictor

    rows = np.load(folder / "rows.npz")
    names = [f"column {place}" for place in range(rows["x"].shape[1])]
    train, test = (pd.DataFrame(rows[name], columns=names) for name in ("x", "x_test"))
    for place in rows["categories"]:
        for frame in (train, test):
            codes = frame[names[place]].astype(int)
            frame[names[place]] = codes.where(codes > 0).astype("Int64").astype("string").astype("category")
    train["target"] = rows["y"]
    n_classes, metric = int(rows["n_classes"]), str(rows["metric"])
    kind = "regression" if n_classes == 0 else "binary" if n_classes == 2 else "multiclass"
    model = TabularPredictor(
        "target", problem_type=kind, eval_metric=METRICS.get(metric, metric), path=str(folder / "models"), verbosity=0
    )
    # On one core, separate processes for the folds would only add their start-up time.
    one_core = {"ag_args_ensemble": {"fold_fitting_strategy": "sequential_local"}} if threads == 1 else {}
    model.fit(train, time_limit=seconds, presets=f"{quality}_quality", num_cpus=threads, num_gpus=0, **one_core)
    if n_classes:
        found = np.zeros((len(test), n_classes))
        chances = model.predict_proba(test)
        found[:, np.asarray(chances.columns, int)] = chances.to_numpy()
    else:
        found = model.predict(test).to_numpy()
    np.save(folder / "predictions.npy", found)
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
