"""MoleculeACE's CHEMBL234 (van Tilborg, Alenicheva & Grisoni 2022): binding affinity of molecules to the D3 receptor.

From the PyPI package MoleculeACE (MIT; data from ChEMBL, CC BY-SA 3.0), with its own split into 2,924 and 733
molecules, by structural clusters and with the same share of activity cliffs in both. No molecule is repeated. A tenth
of the training molecules is held out for validation, stratified by value.
"""

import csv
import io
from typing import TYPE_CHECKING

import numpy as np

from automl.data.datasets.files import Files, package_files
from automl.data.datasets.packages import PyPI
from automl.data.datasets.smiles import token_encoder, token_splits
from automl.data.examples import Examples, Parts
from automl.data.splits import Splits, stratified

if TYPE_CHECKING:
    from automl.data.ingest.text import TextEncoder

FILES = Files(
    "chembl234",
    package_files(
        "chembl234",
        PyPI("MoleculeACE", "3.0.0"),
        (
            "CHEMBL234_Ki.csv",
            "MoleculeACE/Data/benchmark_data/CHEMBL234_Ki.csv",
            306_725,
            "7a86fc3552953bb1ea727f4119b844ff3eadb33d7a79413b1f417cf236f5615a",
        ),
    ),
)
where, fetch = FILES.where, FILES.fetch


def parts() -> Parts[Examples[str, float]]:
    """x: SMILES; y: -log10 of the inhibition constant Ki in nM, -4.9 (weak) to 1.7 (strong)."""
    rows = list(csv.DictReader(io.StringIO(FILES.read("chembl234/CHEMBL234_Ki.csv").decode())))
    given, test = (
        Examples([row["smiles"] for row in rows if row["split"] == part],
                 [float(row["y"]) for row in rows if row["split"] == part])
        for part in ("train", "test")
    )  # fmt: skip
    ranks = np.argsort(np.argsort(given.y, kind="stable"))
    valid, train = stratified(ranks * 10 // len(given), len(given) // 10)  # stratified by deciles of the values
    return Parts(given.take(sorted(train)), given.take(sorted(valid)), test)


def load() -> Splits:
    """Token ids of SMILES."""
    return token_splits(parts())


def encoder() -> "TextEncoder":
    """Encodes new SMILES as token ids."""
    return token_encoder(parts())
