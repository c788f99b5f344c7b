"""The King James Bible (text of 1769) as one long text, to predict each character from those before it.

From eBible.org's edition (engKJV2006, public domain) in the Debian package sword-text-kjv. One verse per line, without
headings and notes: 4.1 million characters, 68 distinct ones. The text is divided into runs of 100 verses; of every 20
runs one is for validation and one for test, so that all sets have the same style. Passages that the Bible repeats
(Kings and Chronicles, the gospels) may be in several sets.
"""

from automl.data.datasets.files import Files, package_files
from automl.data.datasets.packages import Debian
from automl.data.datasets.sword import verses
from automl.data.examples import Parts

MODULE = "engKJV2006eb"
TEXT = f"usr/share/sword/modules/texts/ztext/{MODULE}"
KJV_FILES = package_files(
    f"sword/{MODULE}",
    Debian("sword-text-kjv"),
    ("ot.bzs", f"{TEXT}/ot.bzs", 480, "c82410c36f091d71fc528caecfc12b6cadcc0bcefd3c8b15bfb096770242d35f"),
    ("ot.bzv", f"{TEXT}/ot.bzv", 241_150, "7bf5df3afb6cd3da63b3950d948c9186ad083974047c15bb7b20d162f711927e"),
    ("ot.bzz", f"{TEXT}/ot.bzz", 1_987_326, "619e94b305b1a2c7c00b6447affdb48d324a62d2ec74b0c4488e795d6dafbb38"),
    ("nt.bzs", f"{TEXT}/nt.bzs", 336, "af4b03f646e66d2439f4f8b2b8f1890ae85f032b57f86c9d984775b75f95c55d"),
    ("nt.bzv", f"{TEXT}/nt.bzv", 82_460, "2cf155391a463fcaa8346516c6433083ec6a8d7bfa47a2c16410846ab45b0ce1"),
    ("nt.bzz", f"{TEXT}/nt.bzz", 731_500, "091299c7d38cf86707d83d779c04cbe902e42df3be965ebd144194443be194b5"),
)
FILES = Files("kjv", KJV_FILES)
where, fetch = FILES.where, FILES.fetch

RUN, RUNS = 100, 20  # verses per run; of RUNS runs the sixth is for validation and the sixteenth for test


def parts() -> Parts[str]:
    """The texts of the three sets, with a newline after each verse."""
    texts: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for i, verse in enumerate(verse for verse in verses(FILES, MODULE) if verse):
        part = {5: "valid", 15: "test"}.get(i // RUN % RUNS, "train")
        texts[part].append(f"{verse}\n")
    return Parts(**{part: "".join(lines) for part, lines in texts.items()})
