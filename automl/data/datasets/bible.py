"""English verses (King James, 1769) with their Spanish versions (Reina-Valera, 1909), for translation.

From eBible.org's editions (engKJV2006, spaRV1909; both public domain) in the Debian packages sword-text-kjv and
sword-text-sparv, which number verses in the same way. Only verses of at most 20 words in both languages; repeated
English or Spanish verses are removed before the split, with 1,000 random verses for validation and 1,000 for test.
Near duplicates (Kings and Chronicles, the gospels) may still be in different sets.
"""

from automl.data.datasets.files import Files, package_files
from automl.data.datasets.kjv import KJV_FILES
from automl.data.datasets.kjv import MODULE as ENGLISH
from automl.data.datasets.packages import Debian
from automl.data.datasets.sword import verses
from automl.data.examples import Examples, Parts, shuffled

SPANISH = "spaRV1909eb"
TEXT = f"usr/share/sword/modules/texts/ztext/{SPANISH}"
FILES = Files(
    "bible",
    KJV_FILES
    + package_files(
        f"sword/{SPANISH}",
        Debian("sword-text-sparv"),
        ("ot.bzs", f"{TEXT}/ot.bzs", 480, "5a526d290e886253b08b6460f4b19bc54136cfcaa4a0aa3ae1eacb34c8a3cb6d"),
        ("ot.bzv", f"{TEXT}/ot.bzv", 241_150, "cb48c9c4f8ab98fdc08783f918849d526c5e0abb31ac0efcc23c9d379cf643c7"),
        ("ot.bzz", f"{TEXT}/ot.bzz", 1_925_849, "691fcc24ed94c56743ba23e6e6ed2063530cd586633f280c1036e4f0f8cb67a2"),
        ("nt.bzs", f"{TEXT}/nt.bzs", 336, "016e621c525b1a369566e3290e752e4396fa04d5b6e7ad14275135539cd2b02e"),
        ("nt.bzv", f"{TEXT}/nt.bzv", 82_460, "c027ea9d4b4a3c8e9690d41dbbae1f6cf4dd034e2ba68dfb4606728cdd2c3804"),
        ("nt.bzz", f"{TEXT}/nt.bzz", 716_389, "ac640ecf4038807ba6ddf44f8f6da20afd593860a7f8e1a7049045fdf81b6f8d"),
    ),
)  # fmt: skip
where, fetch = FILES.where, FILES.fetch

MAX_WORDS = 20
N_VALID = N_TEST = 1_000


def parts() -> Parts[Examples[str, str]]:
    """x: English, y: Spanish."""
    pairs = Examples(*map(list, zip(*short_pairs(), strict=True)))
    order = shuffled(len(pairs))
    test, valid, train = (
        pairs.take(sorted(places))
        for places in (order[:N_TEST], order[N_TEST : N_TEST + N_VALID], order[N_TEST + N_VALID :])
    )
    return Parts(train, valid, test)


def short_pairs() -> list[tuple[str, str]]:
    """Pairs of verses, in order; no English and no Spanish verse is repeated."""
    pairs, seen = [], {""}
    for english, spanish in zip(verses(FILES, ENGLISH), verses(FILES, SPANISH), strict=True):
        if max(len(english.split()), len(spanish.split())) <= MAX_WORDS and not {english, spanish} & seen:
            pairs.append((english, spanish))
            seen |= {english, spanish}
    return pairs
