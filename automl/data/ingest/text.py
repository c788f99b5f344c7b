"""Labelled texts: reviews, messages, sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from automl.data.ingest import encoder
from automl.data.ingest.notes import left_out
from automl.data.ingest.number_formats import as_numbers
from automl.data.ingest.read_table import column_names
from automl.data.ingest.request import Request, formats, listed
from automl.data.ingest.split_columns import groups_and_times
from automl.data.ingest.string_column import StringEncoder, as_texts, text_and_labels
from automl.data.ingest.tokenizers import longest, text_tokenizer
from automl.data.inputs import Array, Inputs, Texts, Tokens, text_array
from automl.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


class TextEncoder(StringEncoder):
    """Encodes texts as tokens for networks; learners read the whole texts."""

    kind = "text"
    role = "text"
    views = encoder.Views("tokens", dict.fromkeys(("tfidf", "lsa_lightgbm"), "texts"))

    @classmethod
    def fit(cls, frame: pd.DataFrame, details: Mapping[str, Any]) -> Self:
        texts = frame[details["text"]].tolist()
        tokenizer = text_tokenizer(texts)
        return cls(details["text"], tokenizer, longest(tokenizer, texts))

    def labelled(self, request: Request) -> encoder.LabelledRows:
        return read(replace(request, text=self.name))

    def encode(self, frame: pd.DataFrame) -> dict[str, Array]:
        texts = as_texts(frame, self.name)
        return {"tokens": self.ids(texts), "texts": text_array(texts)}

    def inputs(self, view: str, x: Array) -> Inputs:
        return Texts() if view == "texts" else Tokens(self.length, self.n_ids)


def read(request: Request) -> encoder.LabelledRows:
    """The texts and labels of a table."""
    names = column_names(request.path)
    if request.text is None:
        raise UserError(f"no text column given: --text NAME; the file has: {listed(names)}")
    frame, labels, decimals, notes = text_and_labels(request, request.text, "--text", names)
    if not np.isnan(as_numbers(frame[request.text])).any():
        raise UserError(f"--text {request.text!r} holds numbers, not texts; leave --text out to use all columns")
    present = (frame[request.text].str.strip() != "").to_numpy()
    groups, times, time_form = groups_and_times(request, notes)
    if not present.all():
        notes.append(left_out(int(np.count_nonzero(~present)), "without text"))
        frame, labels = frame[present].reset_index(drop=True), labels[present].reset_index(drop=True)
        groups, times = (None if each is None else each[present] for each in (groups, times))
    return encoder.LabelledRows(
        frame,
        labels,
        request.target or "",
        encoder.hashes(frame),
        notes,
        times,
        groups,
        f"column {request.group!r}",
        details={"text": request.text},
        formats=formats(request, decimals, time_form),
    )
