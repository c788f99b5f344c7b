"""Sequence-to-sequence tasks: English verses to Spanish (9,497 training pairs), words to phones (116,926 words).

Baselines: for verses the translation of the most similar known verse, BLEU 12.0, chrF 30.2, or a dictionary, 8.4 and
39.1 (automl.tasks.baselines.translation); for words rules from aligned letters, phone error rate 9.4%
(automl.tasks.baselines.pronunciation). Published for CMUdict with encoder-decoders: 5 to 6% (Yao & Zweig 2015,
arXiv:1506.00196, trained for hours on all words). Validation in the search decodes greedily, the test by beam search.
"""

from automl.space.parse import load_space
from automl.tasks.sequence_to_sequence import OF_FAMILY, TRAINING, Translation

bible_transformer = Translation(
    name="bible-transformer",
    data="bible",
    model="transformer",
    metric="bleu",
    max_epochs=15,
    subwords=2_000,
    max_length=48,
    space=load_space(TRAINING | OF_FAMILY["transformer"]),
)

# An epoch is 20,000 words.
g2p_rnn = Translation(
    name="g2p-rnn",
    data="cmudict",
    model="rnn",
    metric="error_rate",
    max_epochs=10,
    epoch_size=20_000,
    space=load_space(TRAINING | OF_FAMILY["rnn"]),
)
