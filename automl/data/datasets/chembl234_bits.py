"""The molecules of CHEMBL234 (see automl.data.datasets.chembl234) as Morgan fingerprints instead of SMILES."""

from automl.data.datasets.chembl234 import FILES, parts
from automl.data.datasets.smiles import fingerprint_splits
from automl.data.splits import Splits

where, fetch = FILES.where, FILES.fetch


def load() -> Splits:
    """(n, 1, 1024) of 0 and 1."""
    return fingerprint_splits(parts())
