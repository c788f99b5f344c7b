"""Molecules as SMILES with a property each: tokens for sequence models, fingerprints and descriptors for the others.

The split is by scaffold, so that the test set has frameworks that are not in the training set (Bemis & Murcko 1996).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from automl.data.ingest import encoder
from automl.data.ingest.notes import left_out
from automl.data.ingest.read_table import column_names
from automl.data.ingest.request import SMILES_NAMES, Request, formats, listed
from automl.data.ingest.split import can_be_grouped
from automl.data.ingest.split_columns import groups_and_times
from automl.data.ingest.string_column import StringEncoder, as_texts, text_and_labels
from automl.data.ingest.tokenizers import longest, smiles_tokenizer
from automl.data.inputs import Array, Columns, Dense, Inputs, Tokens
from automl.data.molecules import (
    BITS,
    canonical_smiles,
    charges_and_counts,
    descriptors,
    fingerprints,
    molecule_of,
    parsed,
    scaffolds,
    substructures,
)
from automl.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


class MoleculesEncoder(StringEncoder):
    """Tokens of the canonical SMILES, Morgan fingerprints, and counts of substructures with descriptors."""

    kind = "molecules"
    role = "smiles"
    views = encoder.Views(
        "features",
        dict.fromkeys(("gradient_boosting", "mlp"), "fingerprints")
        | dict.fromkeys(("cnn", "rnn", "transformer"), "tokens"),
    )

    @classmethod
    def fit(cls, frame: pd.DataFrame, details: Mapping[str, Any]) -> Self:
        canonical = [canonical_smiles(molecule) for molecule in parsed(frame[details["smiles"]])]
        tokenizer = smiles_tokenizer(canonical)
        return cls(details["smiles"], tokenizer, longest(tokenizer, canonical))

    def labelled(self, request: Request) -> encoder.LabelledRows:
        return read(replace(request, smiles=self.name))

    def encode(self, frame: pd.DataFrame) -> dict[str, Array]:
        molecules = parsed(as_texts(frame, self.name))
        canonical = [canonical_smiles(molecule) for molecule in molecules]
        return {
            "tokens": self.ids(canonical),
            "fingerprints": fingerprints(molecules),
            "features": np.hstack([descriptors(molecules), charges_and_counts(molecules), substructures(molecules)]),
        }

    def readable(self, frame: pd.DataFrame) -> NDArray[np.bool_]:
        return np.array([molecule_of(text) is not None for text in as_texts(frame, self.name)], bool)

    def inputs(self, view: str, x: Array) -> Inputs:
        if view == "tokens":
            return Tokens(self.length, self.n_ids)
        if view == "features":
            return Columns.of(x, ())
        return Dense.as_is((BITS,))


def read(request: Request) -> encoder.LabelledRows:
    """The molecules and labels of a table; invalid SMILES are left out with a note."""
    names = column_names(request.path)
    smiles = request.smiles or next((name for name in names if name.lower() in SMILES_NAMES), None)
    if smiles is None:
        raise UserError(f"no SMILES column given: --smiles NAME; the file has: {listed(names)}")
    frame, labels, decimals, notes = text_and_labels(request, smiles, "--smiles", names)
    molecules = [molecule_of(text) for text in frame[smiles]]
    good = np.array([molecule is not None for molecule in molecules])
    if not good.any():
        raise UserError(f"column {smiles!r} does not hold SMILES: row 1 has {frame[smiles].iloc[0]!r}")
    if not good.all():
        first = int((~good).argmax())
        notes.append(
            f"{left_out(int(np.count_nonzero(~good)), f'without a valid SMILES in {smiles!r}')}, "
            f"the first is row {first + 1:,}, {frame[smiles].iloc[first]!r}"
        )
    kept = [molecule for molecule in molecules if molecule is not None]
    groups, times, time_form = groups_and_times(request, notes)
    keys = np.array([canonical_smiles(molecule) for molecule in kept])
    if groups is None and times is None:
        groups, what = scaffolds(kept, keys), "scaffold"
        if not can_be_grouped(groups):
            notes.append("nearly all molecules have the same scaffold: the split is random, not by scaffold")
            groups = None
    else:
        groups, times = (None if each is None else each[good] for each in (groups, times))
        what = f"column {request.group!r}"
    return encoder.LabelledRows(
        frame[good].reset_index(drop=True),
        labels[good].reset_index(drop=True),
        request.target or "",
        keys,
        notes,
        times,
        groups,
        what,
        details={"smiles": smiles},
        formats=formats(request, decimals, time_form),
    )
