"""The built-in tasks by name, imported on demand, since torch and the data are slow to load."""

import importlib
from typing import TYPE_CHECKING

from automl.errors import UserError
from strategies.errors import did_you_mean

if TYPE_CHECKING:
    from automl.tasks.built_in import BuiltIn

TASKS = {  # name -> (description, module:object)
    "mnist1d-cnn": ("CNN on MNIST-1D signals; seconds per trial", "automl.tasks.sequences:mnist1d_cnn"),
    "mnist1d-rnn": ("LSTM or GRU on MNIST-1D signals", "automl.tasks.sequences:mnist1d_rnn"),
    "mnist1d-transformer": ("Transformer on MNIST-1D signals", "automl.tasks.sequences:mnist1d_transformer"),
    "digits-cnn": ("CNN on 8x8 digits; a second per trial, nearly solved", "automl.tasks.images:digits_cnn"),
    "fashion-cnn": ("CNN on Fashion-MNIST images", "automl.tasks.images:fashion_cnn"),
    "fashion-rnn": ("LSTM or GRU on the rows of Fashion-MNIST images", "automl.tasks.images:fashion_rnn"),
    "fashion-transformer": ("Transformer on patches of Fashion-MNIST", "automl.tasks.images:fashion_transformer"),
    "newsgroups-rnn": ("LSTM or GRU on the words of 20 Newsgroups", "automl.tasks.text:newsgroups_rnn"),
    "newsgroups-transformer": ("Transformer on the words of 20 Newsgroups", "automl.tasks.text:newsgroups_transformer"),
    "reuters52-cnn": ("CNN on the words of newswire articles", "automl.tasks.text:reuters52_cnn"),
    "bible-transformer": ("Transformer from English to Spanish verses", "automl.tasks.translation:bible_transformer"),
    "g2p-rnn": ("LSTM or GRU with attention from letters to phones", "automl.tasks.translation:g2p_rnn"),
    "chembl234-rnn": ("LSTM or GRU on SMILES", "automl.tasks.molecules:chembl234_rnn"),
    "chembl234-transformer": ("Transformer on SMILES", "automl.tasks.molecules:chembl234_transformer"),
    "chembl234-mlp": ("MLP on Morgan fingerprints", "automl.tasks.molecules:chembl234_mlp"),
    "sp500-rnn": ("LSTM or GRU on daily prices; tomorrow's range", "automl.tasks.finance:sp500_rnn"),
    "sp500-transformer": ("Transformer on daily prices; tomorrow's range", "automl.tasks.finance:sp500_transformer"),
    "kjv-transformer": ("Transformer on the characters of the Bible", "automl.tasks.language:kjv_transformer"),
    "osuleaf-cnn": ("CNN on outlines of leaves", "automl.tasks.timeseries:osuleaf_cnn"),
    "vowels-rnn": ("LSTM or GRU on utterances of different lengths", "automl.tasks.timeseries:vowels_rnn"),
    "letter-mlp": ("MLP on measures of printed letters", "automl.tasks.tabular:letter_mlp"),
}


def load_task(name: str, *, train_size: int | None = None) -> "BuiltIn":
    """A built-in task, on a stratified sample of train_size training examples if given.

    Raises UserError for an unknown name or a train_size out of range, DataMissing if its data are not on this machine.
    """
    if name not in TASKS:
        if name.endswith(".py"):
            raise UserError(f"no object of '{name}' given; use {name}:NAME")
        raise UserError(f"unknown task {name!r}; {did_you_mean(name, TASKS)}choose one of: {', '.join(TASKS)}")
    module, attribute = TASKS[name][1].split(":")
    task: BuiltIn = getattr(importlib.import_module(module), attribute)
    return task.prepared(train_size)
