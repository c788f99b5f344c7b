"""FLAML on one prepared table, run by the Python of its own environment; imports nothing of this repository.

Arguments: a folder with ``rows.npz``, seconds, threads. Writes ``predictions.npy`` and prints the seconds.
"""

import sys
import time
from pathlib import Path

start = time.perf_counter()

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402


def main(folder: Path, seconds: float, threads: int) -> None:
    from flaml import AutoML

    rows = np.load(folder / "rows.npz")
    names = [f"column {place}" for place in range(rows["x"].shape[1])]
    train, test = (pd.DataFrame(rows[name], columns=names) for name in ("x", "x_test"))
    for place in rows["categories"]:
        found = train[names[place]].astype(int)
        categories = pd.CategoricalDtype(sorted(set(found[found > 0])))  # of both frames
        for frame in (train, test):
            frame[names[place]] = frame[names[place]].astype(int).astype(categories)
    kind, metric = str(rows["kind"]), str(rows["metric"])
    model = AutoML()
    model.fit(train, rows["y"], task=kind, metric=metric, time_budget=seconds, n_jobs=threads, verbose=0, seed=0)
    if kind == "classification":
        found = np.zeros((len(test), int(rows["n_classes"])))
        found[:, np.asarray(model.classes_, int)] = model.predict_proba(test)
    else:
        found = np.asarray(model.predict(test))
    np.save(folder / "predictions.npy", found)
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
