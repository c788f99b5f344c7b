"""Small files in the formats of the data sets, placed where their loaders look for them."""

import gzip
import hashlib
import struct
import zlib
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from automl.data.datasets import (
    bible,
    chembl234,
    chembl234_bits,
    cmudict,
    kjv,
    letter,
    newsgroups,
    osuleaf,
    reuters52,
    sp500,
    vowels,
)
from automl.data.datasets.files import Files
from automl.data.datasets.registry import forget_splits, load_pairs, load_parts
from automl.training.device import device_data
from automl.training.language_model import characters_of, text_of


def put(patch, module, contents):
    """Gives a source other contents under the places of its files."""
    files = []
    for file in module.FILES.files:
        content = contents[file.place]
        files.append(replace(file, size=len(content), sha256=hashlib.sha256(content).hexdigest()))
        file.local.parent.mkdir(parents=True, exist_ok=True)
        file.local.write_bytes(content)
    replaced = Files(module.FILES.name, tuple(files))
    for each in (module, chembl234_bits) if module is chembl234 else (module,):
        patch.setattr(each, "FILES", replaced)
        patch.setattr(each, "where", replaced.where)
        patch.setattr(each, "fetch", replaced.fetch)


def orange_tab(rows):
    return "".join(["Category\tText\n", "d\tstring\n", "class\t\n", *(f"{y}\t{x}\n" for x, y in rows)]).encode()


def zipped(module, verses):
    """A module of one block a testament; the first of its slots is a heading."""
    contents = {}
    for testament, part in (("ot", verses[: len(verses) // 2]), ("nt", verses[len(verses) // 2 :])):
        texts = [b"<title>Book</title> ", *(verse.encode() for verse in part)]
        packed, places = zlib.compress(b"".join(texts)), []
        for text in texts:
            places.append((0, sum(size for _, _, size in places), len(text)))
        place = f"sword/{module}/{testament}"
        contents[f"{place}.bzs"] = struct.pack("<III", 0, len(packed), sum(map(len, texts)))
        contents[f"{place}.bzv"] = b"".join(struct.pack("<IIH", *where) for where in places)
        contents[f"{place}.bzz"] = packed
    return contents


@contextmanager
def all_put(root):
    """With small data sets under this root, and nothing loaded before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOML_DATA", str(root))
        put_all(patch)
        forget_data()
        yield
    forget_data()


def forget_data():
    forget_splits()
    for cached in (load_parts, load_pairs, device_data, characters_of, text_of):
        cached.cache_clear()


def put_all(patch):
    """A few hundred made-up examples for every data set, with something to learn in each."""
    rng = np.random.default_rng(0)
    for module, n_classes in ((newsgroups, 20), (reuters52, 52)):
        rows = [(f"w{i % n_classes} w{i} and the w{i % 7}", f"c{i % n_classes}") for i in range(180)]
        name = module.FILES.name
        put(patch, module, {f"{name}/train.tab": orange_tab(rows[:-60]), f"{name}/test.tab": orange_tab(rows[-60:])})
    patch.setattr(kjv, "RUN", 10)
    english = [f"<w>And</w> he said {i % 50} {i} times." for i in range(240)]
    spanish = [f"Y dijo {i} veces {i % 50}." for i in range(240)]
    put(patch, kjv, zipped(kjv.MODULE, english))
    put(patch, bible, zipped(bible.ENGLISH, english) | zipped(bible.SPANISH, spanish))
    for module in (bible, cmudict):
        patch.setattr(module, "N_VALID", 20)
        patch.setattr(module, "N_TEST", 20)
    letters = ["".join(rng.choice([*"abcdefgh"], rng.integers(2, 6))) for _ in range(160)]
    words = "".join(f"{word} {' '.join(letter.upper() for letter in word)}\n" for word in letters)
    put(patch, cmudict, {"cmudict/cmudict.dict": words.encode()})
    rows = [
        f"{'C' * (i % 30 + 1)}O{'N' * (i // 30)},1,{i % 30 / 10},0,{'test' if i % 5 == 0 else 'train'}"
        for i in range(200)
    ]
    table = "\n".join(["smiles,exp_mean [nM],y,cliff_mol,split", *rows])
    put(patch, chembl234, {"chembl234/CHEMBL234_Ki.csv": table.encode()})
    days = pd.bdate_range("1999-01-04", periods=260)
    low = np.exp(rng.normal(0, 0.01, 260).cumsum() + 7)
    high = low * np.exp(0.01 * np.exp(rng.normal(0, 0.3, 260)))
    prices = {"Open": low, "High": high, "Low": low, "Close": high, "Adj Close": high, "Volume": 1e9}
    prices = pd.DataFrame({"Date": days.strftime("%m/%d/%Y"), **prices})
    put(patch, sp500, {"sp500/sp500.csv.gz": gzip.compress(prices.to_csv(index=False).encode(), mtime=0)})
    for module, channels, shortest in ((osuleaf, 1, 64), (vowels, 12, 7)):
        lines = []
        for i in range(80):
            values = rng.normal(i % 6, 1, (channels, shortest + (i % 20 if shortest == 7 else 0)))
            lines.append(":".join([",".join(f"{value:.3f}" for value in channel) for channel in values] + [f"{i % 6}"]))
        put(patch, module, dict.fromkeys((file.place for file in module.FILES.files), "\n".join(lines).encode()))
    put_letters(patch)


def put_letters(patch):
    import rdata

    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.integers(0, 16, (240, 16)).astype(float), columns=[f"x{i}" for i in range(16)])
    frame.insert(0, "lettr", [chr(65 + i % 26) for i in range(240)])
    place = letter.FILES.files[0].local
    place.parent.mkdir(parents=True, exist_ok=True)
    rdata.write_rda(place, {"LetterRecognition": frame.astype({"lettr": object})})
    put(patch, letter, {"letter/LetterRecognition.rda": place.read_bytes()})
    patch.setattr(letter, "N_VALID", 40)
    patch.setattr(letter, "N_TEST", 60)
