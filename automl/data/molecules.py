"""Molecules by RDKit: from SMILES to canonical SMILES, fingerprints, descriptors and scaffolds."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.errors import UserError, install_command

RADIUS, BITS = 2, 2_048  # of Morgan fingerprints (Rogers & Hahn 2010), as usual


def rdkit_chem() -> Any:
    """rdkit's module Chem, with logging off. UserError if rdkit is not installed."""
    try:
        chem, logger = (importlib.import_module(f"rdkit.{name}") for name in ("Chem", "RDLogger"))
    except ImportError:
        raise UserError(f"molecules need rdkit: {install_command('molecules')}") from None
    logger.DisableLog("rdApp.*")
    return chem


def molecule_of(smiles: str) -> Any:
    """A molecule, or None for an invalid or empty SMILES."""
    molecule = rdkit_chem().MolFromSmiles(smiles)
    return molecule if molecule is not None and molecule.GetNumAtoms() else None


def parsed(smiles: Sequence[str]) -> list[Any]:
    """The molecules. UserError naming the first invalid SMILES."""
    molecules = [molecule_of(text) for text in smiles]
    for row, (molecule, text) in enumerate(zip(molecules, smiles, strict=True), 1):
        if molecule is None:
            raise UserError(f"row {row:,} is not valid SMILES: {text!r}")
    return molecules


def canonical_smiles(molecule: Any) -> str:
    """The canonical SMILES of a molecule."""
    text: str = rdkit_chem().MolToSmiles(molecule)
    return text


def fingerprints(molecules: Sequence[Any], *, bits: int = BITS) -> NDArray[np.uint8]:
    """Morgan fingerprints of substructures up to RADIUS bonds, (n, bits) of 0 and 1."""
    module = importlib.import_module("rdkit.Chem.rdFingerprintGenerator")
    generator = module.GetMorganGenerator(radius=RADIUS, fpSize=bits)
    found = np.zeros((len(molecules), bits), np.uint8)
    for row, molecule in enumerate(molecules):
        found[row] = generator.GetFingerprintAsNumPy(molecule)
    return found


def descriptors(molecules: Sequence[Any]) -> NDArray[np.float32]:
    """Weight, log P, polar surface, hydrogen bond donors and acceptors, rotatable bonds and rings, (n, 7)."""
    crippen, weights, measures = (
        importlib.import_module(f"rdkit.Chem.{name}") for name in ("Crippen", "Descriptors", "rdMolDescriptors")
    )
    functions = (
        weights.MolWt,
        crippen.MolLogP,
        measures.CalcTPSA,
        measures.CalcNumHBD,
        measures.CalcNumHBA,
        measures.CalcNumRotatableBonds,
        measures.CalcNumRings,
    )
    return np.array([[function(molecule) for function in functions] for molecule in molecules], np.float32)


def scaffolds(molecules: Sequence[Any], keys: NDArray[Any]) -> NDArray[Any]:
    """The scaffold of each molecule (its rings and linkers) as SMILES; without rings, its key."""
    murcko = importlib.import_module("rdkit.Chem.Scaffolds.MurckoScaffold")
    found = (murcko.MurckoScaffoldSmiles(mol=molecule) for molecule in molecules)
    return np.array([scaffold or key for scaffold, key in zip(found, keys, strict=True)])
