"""Regression on molecules: a random forest on Morgan fingerprints and a few descriptors, the usual QSAR baseline."""

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from automl.data.examples import Examples, Parts
from automl.data.molecules import descriptors, fingerprints, parsed
from automl.metrics import measure

BITS = 1024


def random_forest(parts: Parts[Examples[str, float]]) -> dict[str, float]:
    """The RMSE, in units of y, of 500 trees that consider a third of the features per split."""
    forest = RandomForestRegressor(500, max_features=1 / 3, random_state=0)
    forest.fit(features(parts.train.x), parts.train.y)
    return {"rmse": measure("rmse", np.array(parts.test.y), forest.predict(features(parts.test.x)))}


def features(smiles: list[str]) -> NDArray[np.float32]:
    """Fingerprints and descriptors, (n, 1031)."""
    molecules = parsed(smiles)
    return np.hstack([fingerprints(molecules, bits=BITS).astype(np.float32), descriptors(molecules)])
