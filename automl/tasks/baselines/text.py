"""Texts: logistic regression on TF-IDF, a strong baseline (Wang & Manning 2012)."""

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from automl.data.examples import Examples, Parts
from automl.tasks.baselines.scoring import accuracy

PENALTIES = (10.0, 100.0)  # scikit-learn's C; TF-IDF vectors have length 1, which need little regularisation


def tfidf_logistic_regression(parts: Parts[Examples[str, str]]) -> dict[str, float]:
    """The test accuracy, with C chosen on the validation set."""
    vectorizer = TfidfVectorizer(token_pattern=r"\S+", sublinear_tf=True, min_df=2)  # words  # nosec B106
    train = vectorizer.fit_transform(parts.train.x)
    valid, test = vectorizer.transform(parts.valid.x), vectorizer.transform(parts.test.x)
    models = [LogisticRegression(C=c, tol=1e-3, max_iter=300).fit(train, parts.train.y) for c in PENALTIES]
    best = max(models, key=lambda model: accuracy(model, valid, parts.valid.y))
    return {"accuracy": accuracy(best, test, parts.test.y)}
