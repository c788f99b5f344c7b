"""The families for whole texts."""

import numpy as np
import pytest

from automl.data.inputs import Texts, text_array
from automl.data.targets import Classes, Number
from automl.metrics import measure
from automl.models.learners import learner_class
from automl.models.learners.base import Rows

FILL = ["the", "film", "was", "plot", "actors", "it", "scene", "music", "saw", "in", "town", "again"]
CLASSES = Classes(("bad", "good", "fair"))
FAMILIES = ("tfidf", "lsa_lightgbm")


def reviews(n, seed, family="tfidf", *, far=0):
    """Texts whose class is one of three words, ``far`` words from their beginning."""
    rng, texts = np.random.default_rng(seed), []
    y = rng.integers(0, 3, n)
    for label in y:
        words = list(rng.choice(FILL, 20 + far))
        words.insert(far + int(rng.integers(20)), ("awful", "superb", "decent")[label])
        texts.append(" ".join(words))
    return learner_class(family).read(text_array(texts)), y


def learner_of(family, target, **changes):
    space = learner_class(family).space(classes=isinstance(target, Classes), with_levels=False)
    return learner_class(family)({k: v["default"] for k, v in space.items()} | changes, Texts(), target, 0)


@pytest.mark.parametrize("kind", ["classes", "number"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_learns_and_is_the_same_after_it_was_saved(family, kind, tmp_path):
    (x, y), (new, wanted) = reviews(240, 0), reviews(90, 1)
    target = CLASSES if kind == "classes" else Number.of(y.astype(np.float32))
    learner = learner_of(family, target)
    learner.fit(Rows(x, y), Rows(new, wanted))
    predicted = learner.predict(new)
    if kind == "classes":
        assert predicted.sum(1) == pytest.approx(1.0)
        assert measure("accuracy", wanted, predicted) > 0.95
    else:
        assert measure("rmse", wanted, predicted) < 0.5 * wanted.std()
    learner.save(tmp_path)
    loaded = type(learner).load(tmp_path, learner.config, Texts(), target)
    assert (loaded.predict(new) == predicted).all()


@pytest.mark.parametrize("weighting", ["naive_bayes", "none"])
def test_the_linear_model_reads_the_whole_text(weighting):
    learner = learner_of("tfidf", CLASSES, weighting=weighting, ngrams="words")
    learner.fit(Rows(*reviews(150, 0, far=800)))
    new, wanted = reviews(60, 1, far=800)
    assert measure("accuracy", wanted, learner.predict(new)) > 0.9


def test_a_class_without_texts_and_texts_without_known_words_have_predictions():
    x, y = reviews(120, 0)
    learner = learner_of("tfidf", CLASSES)
    learner.fit(Rows(x[y != 2], y[y != 2]))
    predicted = learner.predict(learner.read(text_array(["", "日本語", "superb"])))
    assert np.isfinite(predicted).all()
    assert predicted.sum(1) == pytest.approx(1.0)
    assert (predicted[:, 2] < 0.01).all()
    assert predicted[2].argmax() == 1
    alone = learner_of("tfidf", CLASSES)
    alone.fit(Rows(x[y == 1], y[y == 1]))
    assert (alone.predict(x).argmax(1) == 1).all()
