"""A scikit-learn search estimator with any strategy: ``SearchCV(SVC(), {"C": loguniform(0.01, 100)})``."""

from __future__ import annotations

import time
from collections.abc import Callable
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from joblib import effective_n_jobs
from scipy.stats import rankdata
from sklearn.base import _fit_context, clone, is_classifier
from sklearn.model_selection import check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import (
    _fit_and_score,
    _insert_error_scores,
    _warn_or_raise_about_fit_failures,
)
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_method_params, indexable

from automl.integrations.fold_race import FoldSearch, RacingCandidate
from automl.space.distributions import load_parameters
from strategies import check_spec, make_strategy


class SearchCV(BaseSearchCV):  # type: ignore[misc]
    """Search an estimator's parameters by cross-validation with any strategy.

    ``space``: the short form, a YAML file, a ConfigurationSpace, or what RandomizedSearchCV takes (lists of anything,
    distributions of scipy.stats; of discrete ones the values count, not the probabilities). ``strategy``: a name of
    STRATEGIES. ``n_iter``: number of candidates, fewer if a finite space is exhausted. The other parameters and the
    attributes after ``fit`` are those of RandomizedSearchCV.

    ``early_stopping``: a candidate is stopped after a fold once its probability of becoming the best is below 5%.
    Splits that were not run are NaN in ``cv_results_``, its mean is over the splits that were (``n_splits_run``), and
    it ranks below every complete candidate; a callable ``refit`` must handle this itself.
    With several metrics, the search optimises the one that ``refit`` names, or the first.

    A search is reproducible with the same ``random_state`` and number of jobs: with more jobs, more candidates are
    chosen before the scores of others are known. Callbacks of scikit-learn 1.9 are not called.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseSearchCV._parameter_constraints,
        "space": "no_validation",
        "strategy": [str],
        "n_iter": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "early_stopping": ["boolean"],
    }

    def __init__(
        self,
        estimator: Any,
        space: Any,
        *,
        strategy: str = "bo",
        n_iter: int = 30,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: bool | str | Callable[[dict[str, Any]], int] = True,
        cv: Any = None,
        verbose: int = 0,
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        early_stopping: bool = False,
    ) -> None:
        super().__init__(
            estimator=estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.space = space
        self.strategy = strategy
        self.n_iter = n_iter
        self.random_state = random_state
        self.early_stopping = early_stopping

    # BaseSearchCV.fit raises once every fit of a batch has failed, which a single bad candidate causes in a sequential
    # search, and it always runs all folds.
    @_fit_context(prefer_skip_nested_validation=False)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any = None, **params: Any) -> SearchCV:
        """Search, then fit the best estimator on all data. ``params`` are passed on by metadata routing."""
        scorers, metric = self._get_scorers()
        X, y = indexable(X, y)
        params = _check_method_params(X, params=params)
        routed = self._get_routed_params_for_fit(params)
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        splits = list(cv.split(X, y, **routed.splitter.split))
        self.n_splits_ = cv.get_n_splits(X, y, **routed.splitter.split)
        if not splits or len(splits) != self.n_splits_:
            raise ValueError(f"cv.get_n_splits returns {self.n_splits_}, but cv.split gives {len(splits)} splits")
        search = self._search()
        options = {
            "scorer": scorers,
            "fit_params": routed.estimator.fit,
            "score_params": routed.scorer.score,
            "return_train_score": self.return_train_score,
            "return_n_test_samples": True,
            "return_times": True,
            "error_score": self.error_score,
            "verbose": self.verbose,
        }
        base = clone(self.estimator)
        if self.verbose > 0:
            print(f"Fitting {self.n_splits_} folds for each of up to {self.n_iter} candidates")
        with Parallel(n_jobs=self.n_jobs) as parallel:
            while fits := search.next_fits(effective_n_jobs(self.n_jobs)):
                results = parallel(
                    delayed(_fit_and_score)(
                        clone(base),
                        X,
                        y,
                        train=splits[fold][0],
                        test=splits[fold][1],
                        parameters=candidate.parameters,
                        split_progress=(fold, self.n_splits_),
                        candidate_progress=(candidate.number, self.n_iter),
                        **options,
                    )
                    for candidate, fold in fits
                )
                search.enter(fits, results)
        self._choose(search.candidates, metric)
        if self.refit:
            self._refit(base, X, y, routed.estimator.fit)
        self.scorer_ = getattr(scorers, "_scorers", scorers)
        return self

    def _search(self) -> FoldSearch:
        check_spec(self.strategy)
        if "+" in self.strategy:
            raise ValueError(
                f"strategy {self.strategy!r} trains in steps, which estimators do not; "
                f"use {self.strategy.split('+')[0]!r} with early_stopping=True"
            )
        parameters = load_parameters(self.space)
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        return FoldSearch(
            make_strategy(self.strategy, parameters.space, seed=int(seed), n_trials=self.n_iter, timed=False),
            parameters,
            n_candidates=self.n_iter,
            n_folds=self.n_splits_,
            metric=self.refit if isinstance(self.refit, str) else None,
            early_stopping=self.early_stopping,
        )

    def _choose(self, candidates: list[RacingCandidate], metric: Any) -> None:
        """Set cv_results_ and the best candidate."""
        fits = [fit for candidate in candidates for fit in candidate.fits]
        _warn_or_raise_about_fit_failures(fits, self.error_score)
        if callable(self.scoring):
            _insert_error_scores(fits, self.error_score)
        scores = fits[0]["test_scores"]
        self.multimetric_ = isinstance(scores, dict)
        if callable(self.scoring) and self.multimetric_:
            self._check_refit_for_multimetric(scores)
            metric = self.refit
        self.cv_results_ = self._table(candidates)
        if self.refit or not self.multimetric_:
            self.best_index_ = self._select_best_index(self.refit, metric, self.cv_results_)
            if not callable(self.refit):
                self.best_score_ = self.cv_results_[f"mean_test_{metric}"][self.best_index_]
            self.best_params_ = self.cv_results_["params"][self.best_index_]

    def _table(self, candidates: list[RacingCandidate]) -> dict[str, Any]:
        # Folds that were not run are filled with the mean of the others until the means are computed.
        fits = [
            fit
            for candidate in candidates
            for fit in candidate.fits + [_mean(candidate.fits)] * (self.n_splits_ - len(candidate.fits))
        ]
        table: dict[str, Any] = self._format_results([c.parameters for c in candidates], self.n_splits_, fits)
        if self.early_stopping:
            table["n_splits_run"] = np.array([len(candidate.fits) for candidate in candidates])
            _mark_stopped(table, self.n_splits_)
        return table

    def _refit(self, base: Any, X: Any, y: Any, fit_params: dict[str, Any]) -> None:
        # Clone the parameters too: they may be estimators.
        self.best_estimator_ = clone(base).set_params(**clone(self.best_params_, safe=False))
        start = time.time()
        if y is None:
            self.best_estimator_.fit(X, **fit_params)
        else:
            self.best_estimator_.fit(X, y, **fit_params)
        self.refit_time_ = time.time() - start
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_


def _mean(fits: list[dict[str, Any]]) -> dict[str, Any]:
    """The means of the fits' results: times and scores by metric."""

    def mean(values: list[Any]) -> Any:
        if isinstance(values[0], dict):
            return {name: mean([value[name] for value in values]) for name in values[0]}
        return float(np.mean(values))

    return {**fits[0], **{key: mean([fit[key] for fit in fits]) for key in fits[0] if key.endswith(("time", "scores"))}}


def _mark_stopped(table: dict[str, Any], n_splits: int) -> None:
    """Set splits that were not run to NaN, and rank stopped candidates below complete ones."""
    n_run = table["n_splits_run"]
    stopped = n_run < n_splits
    for fold in range(n_splits):
        for key in table:
            if key.startswith(f"split{fold}_"):
                table[key][n_run <= fold] = np.nan
    for key in [key for key in table if key.startswith("std_")]:
        table[key] = table[key] * np.sqrt(n_splits / n_run)  # filled-in means add nothing to the squared deviations
    for key in [key for key in table if key.startswith("rank_test_")]:
        means = table["mean" + key.removeprefix("rank")]
        worked = np.isfinite(means)
        below = np.ptp(means[worked]) + 1.0 if worked.any() else 0.0
        table[key] = rankdata(np.where(worked, stopped * below - means, np.inf), method="min").astype(np.int32)
