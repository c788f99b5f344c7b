"""Molecules as vectors, by RDKit: fingerprints of substructures and molecular descriptors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.errors import UserError


def fingerprints(smiles: Sequence[str], *, radius: int = 2, bits: int = 1024) -> NDArray[np.float32]:
    """Morgan fingerprints of a radius in bonds (Rogers & Hahn 2010), (n, bits) of 0 and 1."""
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=radius, fpSize=bits)
    return np.array([generator.GetFingerprintAsNumPy(molecule) for molecule in molecules(smiles)], np.float32)


def descriptors(smiles: Sequence[str]) -> NDArray[np.float32]:
    """Weight, log P, polar surface, hydrogen bond donors and acceptors, rotatable bonds and rings, (n, 7)."""
    from rdkit.Chem import Crippen, Descriptors, rdMolDescriptors

    measures = (
        Descriptors.MolWt,
        Crippen.MolLogP,
        rdMolDescriptors.CalcTPSA,
        rdMolDescriptors.CalcNumHBD,
        rdMolDescriptors.CalcNumHBA,
        rdMolDescriptors.CalcNumRotatableBonds,
        rdMolDescriptors.CalcNumRings,
    )
    return np.array([[measure(molecule) for measure in measures] for molecule in molecules(smiles)], np.float32)


def molecules(smiles: Sequence[str]) -> list[Any]:
    """RDKit molecules. UserError for an invalid SMILES."""
    try:
        from rdkit import Chem
    except ImportError as error:
        raise UserError("fingerprints of molecules need: pip install -e '.[molecules]'") from error
    found: list[Any] = [Chem.MolFromSmiles(text) for text in smiles]
    if None in found:
        raise UserError(f"a molecule must be a valid SMILES, got {smiles[found.index(None)]!r}; correct or remove it")
    return found
