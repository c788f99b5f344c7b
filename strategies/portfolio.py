"""A portfolio of configs to start with, which together do well on past studies of the same or similar spaces.

Greedy selection as in M. Feurer et al., Auto-sklearn 2.0 (JMLR 2022), section 4: each config is the one that reduces
the mean over past studies of the best loss so far the most. The loss of a config in a study that did not try it is
predicted by a Gaussian process on that study's log losses, since differences among good configs matter more than how
bad the worst are. Candidates include crossovers of good configs, because a good compromise may not have been tried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import cho_solve

from strategies import gaussian_process
from strategies._matching import carried, known_part, shared
from strategies.base import LARGEST_LOSS, Start
from strategies.encoding import Encoding
from strategies.features import Features
from strategies.types import Config

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace

MAX_SCALED = 10.0  # scaled losses are clipped here: 0 is a study's best loss, 1 its median
MAX_OBSERVATIONS = 200  # per study: half of them the best ones, half sampled from the rest
MIN_SHARE = 0.5  # share of the space's hyperparameters that a study must cover to be used
MIN_SKILL = 0.3  # minimum leave-one-out skill of a study's model; not required of studies on the same task
MAX_STUDIES = 50  # studies used: those that cover most of the space, then the latest
MIN_GAIN = 0.01  # minimum gain in the mean scaled loss for a config to be worth a trial
N_BEST = 20  # best configs of each study that are candidates and parents
N_PARENTS, N_CHILDREN, N_GENERATIONS = 40, 300, 4
MIX = 0.7  # share of the hyperparameters that a child inherits from its first parent


@dataclass(frozen=True)
class PastStudy:
    """The configs and losses of a past study; a loss of None is a failed trial."""

    task: str
    space: ConfigurationSpace
    configs: list[Config]
    losses: list[float | None]

    @cached_property
    def encoding(self) -> Encoding:
        """The encoding of the study's own space."""
        return Encoding(self.space)

    @cached_property
    def scaled(self) -> np.ndarray | None:
        """The losses scaled so that the best is 0 and the median 1; None if these are equal."""
        losses = np.array([np.nan if loss is None else loss for loss in self.losses], dtype=float)
        losses = np.clip(losses, -LARGEST_LOSS, LARGEST_LOSS)
        if np.isnan(losses).all():
            return None
        best, middle = np.nanmin(losses), np.nanmedian(losses)
        if middle - best < np.finfo(float).tiny:
            return None
        return np.asarray(np.minimum(np.nan_to_num((losses - best) / (middle - best), nan=MAX_SCALED), MAX_SCALED))

    @cached_property
    def best_first(self) -> np.ndarray:
        """Indices of the configs, sorted by loss."""
        assert self.scaled is not None
        return np.argsort(self.scaled, kind="stable")

    def predict(self, points: np.ndarray) -> np.ndarray:
        """Predicted scaled losses at points of the study's own space, shape (n,); below 0 if better than its best."""
        features, gp, mean, deviation = self._model
        standardised: np.ndarray = gp.covariance(features.features(points)) @ gp.alpha[:, 0]
        return np.expm1(np.minimum(mean + deviation * standardised, np.log1p(MAX_SCALED)))

    @cached_property
    def _model(self) -> tuple[Features, gaussian_process.GP, float, float]:
        assert self.scaled is not None
        kept = self.best_first
        if len(kept) > MAX_OBSERVATIONS:
            half = MAX_OBSERVATIONS // 2
            others = np.random.default_rng(0).choice(kept[half:], size=MAX_OBSERVATIONS - half, replace=False)
            kept = np.concatenate([kept[:half], others])
        features, y = Features(self.encoding), np.log1p(self.scaled[kept])
        X = features.features(np.array([self.encoding.encode(self.configs[i]) for i in kept]))
        mean, deviation = float(y.mean()), float(y.std())
        return features, gaussian_process.fit(X, (y - mean) / deviation, features.hyperparameter, None), mean, deviation

    @cached_property
    def skill(self) -> float:
        """Leave-one-out R2 of the model on the log losses; 0 or less means no skill.

        Rasmussen and Williams, equation 5.12.
        """
        _, gp, _, _ = self._model
        precision = cho_solve((gp.L, True), np.eye(len(gp.L)), check_finite=False)
        return float(1.0 - np.mean((gp.alpha[:, 0] / np.diag(precision)) ** 2))


def portfolio(space: ConfigurationSpace, studies: Sequence[PastStudy], task: str, n: int) -> list[Start]:
    """At most n configs to try after the default one, most promising first; fewer if others would add no gain.

    ``task``: the name of the current task: studies on it weigh as much as all the others together.
    """
    encoding = Encoding(space)
    relevant = RelevantStudies.of(encoding, studies, task)
    if n < 1 or not relevant.studies:
        return []
    rng = np.random.default_rng(0)
    best = relevant.losses([encoding.default])[:, 0]  # of each study, with the portfolio so far
    pool = relevant.candidates()
    losses = relevant.losses(pool)
    chosen: list[Start] = []
    while len(chosen) < n and pool:
        for _ in range(N_GENERATIONS):
            order = np.argsort(relevant.weights @ np.minimum(best[:, None], losses), kind="stable")
            children = _children(encoding, [pool[i] for i in order[:N_PARENTS]], rng)
            pool, losses = pool + children, np.concatenate([losses, relevant.losses(children)], axis=1)
        means = relevant.weights @ np.minimum(best[:, None], losses)
        winner = int(means.argmin())
        gains = relevant.weights * (best - np.minimum(best, losses[:, winner]))
        if gains.sum() < MIN_GAIN:
            break
        chosen.append(Start(pool[winner], relevant.studies[int(gains.argmax())].task))
        best = np.minimum(best, losses[:, winner])
    return chosen


@dataclass(frozen=True)
class RelevantStudies:
    """The relevant past studies and their predictions for configs of the new space."""

    encoding: Encoding  # of the new space
    studies: list[PastStudy]
    names: list[list[str]]  # the hyperparameters that each study shares with the new space
    weights: np.ndarray  # (n_studies,), summing to 1

    @classmethod
    def of(cls, encoding: Encoding, studies: Sequence[PastStudy], task: str) -> RelevantStudies:
        """The studies that cover enough of the space and whose models have enough skill."""
        varying = {dim.name for dim in encoding.dimensions if dim.n_values > 1}
        found = []
        for place, study in enumerate(studies):
            names = shared(encoding, study.encoding)
            share = len(varying & set(names)) / max(1, len(varying))
            if study.scaled is not None and varying and share >= MIN_SHARE:
                alike = len(names) / len({*encoding.names, *study.encoding.names})
                found.append((share, place, study, names, alike))
        latest = sorted(found, key=lambda entry: entry[:2])[-MAX_STUDIES:]
        found = [entry for entry in latest if entry[2].task == task or entry[2].skill >= MIN_SKILL]
        tasks = [entry[2].task for entry in found]
        times = Counter(tasks)
        weights = np.array([entry[4] / times[entry[2].task] for entry in found])
        own = np.array([name == task for name in tasks], dtype=bool)
        if own.any() and not own.all():
            weights = np.where(own, weights / weights[own].sum(), weights / weights[~own].sum())
        total = weights.sum() if found else 1.0
        return cls(encoding, [entry[2] for entry in found], [entry[3] for entry in found], weights / total)

    def candidates(self) -> list[Config]:
        """The best configs of each study, mapped to the new space."""
        found: dict[tuple[tuple[str, object], ...], Config] = {}
        for study, names in zip(self.studies, self.names, strict=True):
            for i in study.best_first[:N_BEST]:
                config = None if study.losses[i] is None else carried(study.configs[i], self.encoding, names)
                if config is not None:
                    found.setdefault(tuple(config.items()), config)
        return list(found.values())

    def losses(self, configs: list[Config]) -> np.ndarray:
        """Predicted scaled losses, shape (n_studies, n_configs)."""
        points: dict[int, np.ndarray] = {}  # by space: many studies share one
        result = np.empty((len(self.studies), len(configs)))
        for row, (study, names) in enumerate(zip(self.studies, self.names, strict=True)):
            key = id(study.space)
            if key not in points:
                to = study.encoding
                encoded = [to.encode(known_part(config, to, names)) for config in configs]
                points[key] = Features(to).legal(np.reshape(encoded, (len(configs), len(to.dimensions))))
            result[row] = study.predict(points[key])
        return result


def _children(encoding: Encoding, parents: list[Config], rng: np.random.Generator) -> list[Config]:
    """Allowed configs, each with most hyperparameters from one parent and the others from another."""
    points = np.array([encoding.encode(config) for config in parents])
    first, second = points[rng.integers(len(points), size=(2, N_CHILDREN))]
    mixed = np.where(rng.random(first.shape) < MIX, first, second)
    children = {point.tobytes(): encoding.decode(point) for point in mixed}
    return [config for config in children.values() if encoding.allows(config)]
