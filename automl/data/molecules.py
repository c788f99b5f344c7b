"""Molecules by RDKit: from SMILES to canonical SMILES, fingerprints, descriptors and scaffolds."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from automl.errors import UserError, install_command

N_COUNTS = 78
RADIUS, BITS = 2, 2_048  # the usual Morgan fingerprints (Rogers & Hahn 2010)


def rdkit_chem() -> Any:
    """rdkit's module Chem, with logging off. UserError if rdkit is not installed."""
    try:
        chem, logger = (importlib.import_module(f"rdkit.{name}") for name in ("Chem", "RDLogger"))
    except ImportError:
        raise UserError(f"molecules need the package rdkit; install it with: {install_command('molecules')}") from None
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
    of = _morgan(bits).GetFingerprintAsNumPy
    return np.array([of(molecule) for molecule in molecules], np.uint8).reshape(-1, bits)


def substructures(molecules: Sequence[Any]) -> NDArray[np.float32]:
    """How often each substructure of up to RADIUS bonds occurs, in BITS hashed columns, (n, BITS)."""
    of = _morgan(BITS).GetCountFingerprintAsNumPy
    return np.array([of(molecule) for molecule in molecules], np.float32).reshape(-1, BITS)


def _morgan(size: int) -> Any:
    module = importlib.import_module("rdkit.Chem.rdFingerprintGenerator")
    return module.GetMorganGenerator(radius=RADIUS, fpSize=size)


def charges_and_counts(molecules: Sequence[Any]) -> NDArray[np.float32]:
    """Molecular quantum numbers, and surface areas by partition coefficient, refractivity and partial charge, (n, 78).

    K. Nguyen et al., Classification of Organic Molecules by Molecular Quantum Numbers (ChemMedChem 2009); P. Labute, A
    Widely Applicable Set of Descriptors (Journal of Molecular Graphics and Modelling 2000). Charges that cannot be
    computed are missing.
    """
    measures = importlib.import_module("rdkit.Chem.rdMolDescriptors")
    functions = (measures.MQNs_, measures.SlogP_VSA_, measures.SMR_VSA_, measures.PEOE_VSA_)
    rows = [[value for function in functions for value in function(molecule)] for molecule in molecules]
    found = np.array(rows, np.float32).reshape(len(molecules), N_COUNTS)
    return np.where(np.isfinite(found), found, np.nan).astype(np.float32)


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
    rows = [[function(molecule) for function in functions] for molecule in molecules]
    return np.array(rows, np.float32).reshape(len(molecules), len(functions))


def scaffolds(molecules: Sequence[Any], keys: NDArray[Any]) -> NDArray[Any]:
    """The scaffold of each molecule (its rings and linkers) as SMILES; without rings, its key."""
    murcko = importlib.import_module("rdkit.Chem.Scaffolds.MurckoScaffold")
    found = (murcko.MurckoScaffoldSmiles(mol=molecule) for molecule in molecules)
    return np.array([scaffold or key for scaffold, key in zip(found, keys, strict=True)])
