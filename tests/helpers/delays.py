"""Rows on delays: numbers, of which updates of a model are told."""

import numpy as np
import pandas as pd


def delays(n, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"distance": rng.uniform(0, 1, n), "counts": rng.choice([0.01, 1.0, 5.0], n)})
    return frame.assign(delay=frame["distance"] * (1 + shift) + rng.normal(0, 0.1, n) + (frame["counts"] < 0.1))
