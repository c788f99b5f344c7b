"""Translation without a network: word by word, or by the most similar training sentence."""

from collections import Counter
from collections.abc import Callable

from sklearn.feature_extraction.text import TfidfVectorizer

from automl.data.examples import Examples, Parts
from automl.metrics import measure

Translate = Callable[[Examples[str, str], list[str]], list[str]]  # (training pairs, texts) -> translations


def dictionary_or_memory(parts: Parts[Examples[str, str]]) -> dict[str, float]:
    """BLEU and chrF, 0 to 100, of the method with the higher BLEU on the validation set."""
    best = max((word_by_word, from_memory), key=lambda translate: score(translate, parts.train, parts.valid)["bleu"])
    return score(best, parts.train, parts.test)


def score(translate: Translate, train: Examples[str, str], part: Examples[str, str]) -> dict[str, float]:
    translations = translate(train, part.x)
    return {metric: measure(metric, part.y, translations) for metric in ("bleu", "chrf")}


def from_memory(train: Examples[str, str], texts: list[str]) -> list[str]:
    """The translation of the training text that is most similar to each text, by cosine of TF-IDF."""
    vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+")  # words  # nosec B106
    known = vectorizer.fit_transform(train.x)
    nearest = (vectorizer.transform(texts) @ known.T).toarray().argmax(1)
    return [train.y[i] for i in nearest]


def word_by_word(train: Examples[str, str], texts: list[str]) -> list[str]:
    """Replace each word by the one with the highest Dice coefficient (1945) over the training pairs.

    The word order stays; unknown words are kept.
    """
    dictionary = dice_dictionary(train)
    return [tidy(" ".join(dictionary.get(word, word) for word in words(text))) for text in texts]


def dice_dictionary(pairs: Examples[str, str]) -> dict[str, str]:
    """For each word x the y with the highest 2 n(x, y) / (n(x) + n(y)), n counting pairs; ties alphabetically."""
    n_x: Counter[str] = Counter()
    n_y: Counter[str] = Counter()
    n_both: Counter[tuple[str, str]] = Counter()
    for source, target in zip(pairs.x, pairs.y, strict=True):
        given, wanted = sorted(set(words(source))), sorted(set(words(target)))
        n_x.update(given)
        n_y.update(wanted)
        n_both.update((x, y) for x in given for y in wanted)
    best: dict[str, tuple[float, str]] = {}
    for (x, y), n in sorted(n_both.items()):
        dice = 2 * n / (n_x[x] + n_y[y])
        if dice > best.get(x, (0.0, ""))[0]:
            best[x] = (dice, y)
    return {x: y for x, (_, y) in best.items()}


def words(text: str) -> list[str]:
    """Lower-case words, with punctuation marks as separate words."""
    spaced = "".join(f" {c} " if not (c.isalnum() or c in " '\u2019") else c for c in text.lower())
    return spaced.split()


def tidy(text: str) -> str:
    """The text with a capital at the beginning and no space before punctuation or after an opening mark."""
    for mark in ",.;:?!)":
        text = text.replace(f" {mark}", mark)
    for mark in "¿¡(":
        text = text.replace(f"{mark} ", mark)
    return text[:1].upper() + text[1:]
