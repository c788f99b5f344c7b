"""Bayesian optimization: a Gaussian process of the loss with log expected improvement.

D. R. Jones et al., Efficient Global Optimization (1998); S. Ament et al. (NeurIPS 2023) for the acquisition function;
D. Eriksson et al., Scalable Global Optimization via Local Bayesian Optimization (NeurIPS 2019) for the trust region in
high-dimensional spaces; F. Berkenkamp et al., No-Regret Bayesian Optimization with Unknown Hyperparameters (JMLR 2019)
for shrinking lengthscales; C. Hvarfner et al., piBO (ICLR 2022) for the user's beliefs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast

import numpy as np
from scipy.stats import qmc

from strategies import gaussian_process
from strategies._acquisition import Acquisition, BeliefWeighted, LogEI, maximise
from strategies._beliefs import power_of
from strategies._cost import log_seconds
from strategies._doubt import STUCK_AFTER, doubted, n_without_gain, noise_ceiling, shrinkage
from strategies._observations import Observed, chosen, finished_best, observed, standardised, worst_counted
from strategies._regret import regret_bound
from strategies._success import success
from strategies._trust_region import trust_region
from strategies.base import MANY_PENDING, Outcome, Proposal, RegretBound
from strategies.config_strategy import ConfigStrategy
from strategies.features import Features
from strategies.gaussian_process import GP
from strategies.types import JSON, Config

N_SPREAD = 1024  # candidates across the space,
N_CENTRES, N_AROUND = 5, 64  # and around each of the best configs
N_FANTASIES = 8
REFIT_EVERY = 50  # from 100 observations on, theta is refitted only after n / 50 more
REFIT_SELDOM = 5  # the same with many pending trials
N_AHEAD, N_CONSIDERED = 15, 256  # further proposals per model with many pending trials, and their candidates
N_SCALE = 8  # first trials, whose losses give the scale of those of the whole space
FEW_NUMBERS = 3
N_WHOLE = 20  # full trainings from which on losses of a config share noise in a search of few trials
MANY_DIMENSIONS = 20  # above this, the search stays in a trust region


class BayesianOptimization(ConfigStrategy):
    """Proposals depend on the outcomes, the seed and the last fit, which is kept in the proposals' info."""

    n_initial = 8
    n_initial_soon: ClassVar[int] = 4
    """Size of the initial design in spaces with more than FEW_NUMBERS numbers and at most ``few_hyperparameters``: a
    model of four full trainings already proposes better configs there. ``n_initial`` if trials are first trained for a
    few epochs, which costs little."""
    few_hyperparameters: ClassVar[float] = 10
    """With more, four configs may not show which of them matter. Constants do not count."""
    learns_curves = True
    shared_noise: ClassVar[float] = 0.5
    """Correlation of the noise of a config's losses at different rungs: its whole curve may lie above or below what its
    neighbours suggest, so two of its losses are weaker evidence than those of two configs."""
    few_trials: ClassVar[float] = 30
    """With a budget of at most this many trials, or of time alone, the noise of different rungs is taken to be
    independent until N_WHOLE trials are fully trained: trusting short trainings more finds better configs by then, but
    worse ones later."""

    def __init__(self, *args: Any, cost_exponent: Callable[[], float] | None = None, **kwargs: Any) -> None:
        """``cost_exponent``: the expected improvement is divided by the training seconds to this power; None: 0."""
        super().__init__(*args, **kwargs)
        self._cost_exponent = cost_exponent
        self._seconds: dict[int, float] = {}  # by trial
        self._features = Features(self.encoding)
        self._noise: np.ndarray | None = None  # S of the process; None while no noise is shared
        self._theta: np.ndarray | None = None
        self._n_fitted = self._n_used = (
            0  # number of outcomes that theta was fitted to: the last proposal's, and that in use
        )
        self._points: dict[int, np.ndarray] = {}  # by trial: its config in the unit cube
        self._ahead: list[Config] = []  # further proposals of the last model
        self._has_short = False  # whether a trial paused or stopped before a full training

    @property
    def _initial_size(self) -> float:
        dimensions = self.encoding.dimensions
        n_numbers = sum(dim.kind != "choice" for dim in dimensions)
        n_varied = sum(dim.n_values > 1 for dim in dimensions)
        soon = n_numbers > FEW_NUMBERS and n_varied <= self.few_hyperparameters
        return self.n_initial_soon if soon and not self._has_short else self.n_initial

    def restore(self, proposal: Proposal) -> None:
        super().restore(proposal)
        self._restore_ahead(proposal.info)
        theta, n_fitted = proposal.info.get("theta"), proposal.info.get("fitted")
        if isinstance(theta, list) and isinstance(n_fitted, int):
            self._theta, self._n_fitted = np.array(theta, dtype=float), n_fitted

    def _restore_ahead(self, info: Mapping[str, JSON]) -> None:
        left = info.get("left")
        if isinstance(left, int):
            self._ahead = self._ahead[len(self._ahead) - left :]
        elif "theta" in info:
            ahead = info.get("ahead")
            self._ahead = cast("list[Config]", ahead) if isinstance(ahead, list) else []

    @property
    def _has_many(self) -> bool:
        """Whether many trials are pending: each model then makes several proposals and sees only some of them."""
        return len(self.pending) > MANY_PENDING

    def _suggest(self, rng: np.random.Generator) -> tuple[Config, dict[str, JSON]]:
        for i, ahead in enumerate(self._ahead if self._has_many else ()):
            if self.is_new(ahead):
                return ahead, {"from": "gp", "left": len(self._ahead) - i - 1}
        outcomes = list(self.outcomes.values())
        points, seen, X, losses = self._known(outcomes, rng)
        gp = self._fitted(X, standardised(losses), len(outcomes))
        # Short trainings rarely give a new best, so a long time without one does not mean that the search is stuck.
        factor = 1.0 if self._features.with_epochs else self._shrinkage(seen.final)
        acquisition = self._acquisition(doubted(gp, factor, points.shape[1]), outcomes, points, rng)
        if self.beliefs:
            acquisition = BeliefWeighted(
                acquisition, self.beliefs, self._features, power_of(self.n_trials, len(outcomes))
            )
        new = np.array([outcome.proposal.promotes is None for outcome in outcomes])
        low, high = self._bounds(points[new], seen.final[new], gp)
        candidates = np.where(low == high, low, self._candidates(points, seen.final, rng, low, high))
        found, values = self._maximise(acquisition, candidates, low, high)
        if self._cost_exponent is not None:
            found, values = self._by_cost(found, values, points, outcomes)
        info: dict[str, JSON] = {"from": "gp", "theta": [float(t) for t in gp.theta], "fitted": self._n_used}
        if factor < 1.0:
            info["lengthscales"] = round(factor, 3)
        if self._has_many:
            info["ahead"] = cast("list[JSON]", self._further_proposals(acquisition, found, values))
        for point, value in zip(found, values, strict=True):
            config = self.encoding.decode(point)
            if self.is_new(config):
                return config, {**info, "log_ei": round(float(value), 3)}
        return self.encoding.decode(found[0]), info

    def _further_proposals(self, acquisition: Acquisition, found: np.ndarray, values: np.ndarray) -> list[Config]:
        """Further proposals among the best points (m, d), each as if the earlier ones were pending."""
        if not isinstance(acquisition, LogEI | BeliefWeighted):
            return []
        _, places = np.unique(found, axis=0, return_index=True)
        places = np.sort(places)[:N_CONSIDERED]
        found, values = found[places], values[places]
        X = self._features.features(found)
        by_cost = values - acquisition(X)
        chosen = [0]
        for _ in range(min(N_AHEAD, len(found) - 1)):
            acquisition = acquisition.after(X[chosen[-1:]])
            value = acquisition(X) + by_cost
            value[chosen] = -np.inf
            chosen.append(int(value.argmax()))
        return [self.encoding.decode(found[i]) for i in chosen[1:]]

    @property
    def findings(self) -> list[str]:
        if not self.outcomes or all(outcome.loss is None for outcome in self.outcomes.values()):
            return []
        n = n_without_gain(observed(list(self.outcomes.values()), self.max_epochs).final)
        if n <= STUCK_AFTER or self._features.with_epochs:
            return []
        return [f"no improvement in the last {n} trials: every second proposal now explores further away"]

    def tell(self, outcome: Outcome) -> None:
        super().tell(outcome)
        trial = outcome.proposal.trial
        self._seconds[trial] = self._seconds.get(trial, 0.0) + outcome.seconds
        self._has_short |= outcome.stopped or outcome.proposal.epochs < self.max_epochs

    def _by_cost(
        self, found: np.ndarray, values: np.ndarray, points: np.ndarray, outcomes: list[Outcome]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The points and values sorted by improvement per cost."""
        assert self._cost_exponent is not None
        epochs = [max(1, len(outcome.losses)) for outcome in outcomes]
        seconds = np.array([self._seconds[outcome.proposal.trial] for outcome in outcomes]) / epochs
        X, at = self._features.features(points), self._features.features(found)
        values = values - self._cost_exponent() * log_seconds(X, seconds, at)
        order = np.argsort(-values, kind="stable")
        return found[order], values[order]

    bounds_regret = True

    def regret_bound(self) -> RegretBound | None:
        outcomes = list(self.outcomes.values())
        worked = np.array([outcome.loss is not None for outcome in outcomes])
        best = finished_best(outcomes, self.max_epochs)
        if best is None or worked.sum() < N_SCALE:
            return None
        rng = np.random.default_rng((self.seed, len(outcomes)))
        points, seen, X, losses = self._known(outcomes, rng)
        # The search soon sees only good losses.
        losses = np.minimum(losses, worst_counted(seen.final[worked][:N_SCALE]))
        scale = float(losses.std())
        if scale == 0.0:
            return None
        gp = gaussian_process.fit(
            X, (losses - losses.mean()) / scale, self._features.hyperparameter, None, S=self._noise
        )
        everywhere = np.zeros(points.shape[1]), np.ones(points.shape[1])
        candidates = self._candidates(points, seen.final, rng, *everywhere)
        regret = regret_bound(gp, self._features, points[best], candidates)
        return RegretBound(scale * regret, scale * float(np.exp(gp.theta[-1] / 2)))

    def _known(
        self, outcomes: list[Outcome], rng: np.random.Generator
    ) -> tuple[np.ndarray, Observed, np.ndarray, np.ndarray]:
        """Points of the told configs (n, d), all observations, and the features and losses used by the model."""
        points = np.array([self._point(outcome.proposal) for outcome in outcomes])
        seen = observed(outcomes, self.max_epochs)
        self._features = Features(self.encoding, with_epochs=bool((seen.share < 1.0).any()))
        kept = chosen(seen.losses, rng)
        X = self._features.features(points[seen.trial[kept]])
        if self._features.with_epochs:
            X[:, -1] = seen.share[kept]
        self._noise = None
        has_many = self.n_trials is not None and self.n_trials > self.few_trials
        if self._features.with_epochs and (has_many or np.count_nonzero(seen.share >= 1.0) >= N_WHOLE):
            same = seen.trial[kept][:, None] == seen.trial[kept]
            self._noise = self.shared_noise * (same & ~np.eye(len(kept), dtype=bool))
        return points, seen, X, seen.losses[kept]

    def _point(self, proposal: Proposal) -> np.ndarray:
        """A config in the unit cube, (d,)."""
        if proposal.trial not in self._points:
            self._points[proposal.trial] = self.encoding.encode(proposal.config)
        return self._points[proposal.trial]

    def _fitted(self, X: np.ndarray, y: np.ndarray, n_told: int) -> GP:
        """The process of the losses y (n,) at features X (n, D), refitted after every outcome or, later, some."""
        owner = self._features.hyperparameter
        theta = self._theta
        if theta is not None and len(theta) != owner.max() + 3:
            theta = None  # fitted before the first short trial
        every = REFIT_SELDOM if self._has_many else REFIT_EVERY
        if theta is not None and n_told - self._n_fitted < max(1, n_told // every):
            self._n_used = self._n_fitted
            return GP.given(X, y[:, None], theta, owner, self._noise)
        self._n_used = n_told
        return gaussian_process.fit(X, y, owner, theta, max_noise=self._noise_ceiling(y), S=self._noise)

    def _noise_ceiling(self, y: np.ndarray) -> float:
        return noise_ceiling(y)

    def _shrinkage(self, losses: np.ndarray) -> float:
        """The factor for the lengthscales, applied at every second ask."""
        return shrinkage(losses) if self._n_asked % 2 == 0 else 1.0

    def _acquisition(
        self, gp: GP, outcomes: list[Outcome], points: np.ndarray, rng: np.random.Generator
    ) -> Acquisition:
        at = self._features.features(points)  # every config as if trained fully
        if self.pending:
            waiting = self._features.features(np.array([self._point(each) for each in self.pending.values()]))
            if self._has_many:
                promising = np.argsort(-LogEI(gp, gp.means(at).min(axis=0))(waiting), kind="stable")
                waiting = waiting[promising[:MANY_PENDING]]
            gp = gp.with_more(waiting, gp.sample(waiting, N_FANTASIES, rng))
            at = np.concatenate([at, waiting])
        bests = gp.means(at).min(axis=0)
        failed = np.array([outcome.loss is None for outcome in outcomes])
        return LogEI(gp, bests, success(at[: len(outcomes)], failed, gp) if failed.any() else None)

    def _candidates(
        self, points: np.ndarray, losses: np.ndarray, rng: np.random.Generator, low: np.ndarray, high: np.ndarray
    ) -> np.ndarray:
        d = points.shape[1]
        spread = low + (high - low) * qmc.Sobol(d, rng=rng).random(N_SPREAD)
        centres = np.repeat(points[np.argsort(losses, kind="stable")[:N_CENTRES]], N_AROUND, axis=0)
        changed = rng.random(centres.shape) < np.maximum(1.0 / d, rng.random((len(centres), 1)) ** 2)
        steps = rng.normal(size=centres.shape) * 10.0 ** rng.uniform(-3, -0.5, size=(len(centres), 1))
        numeric = np.array([dim.numeric for dim in self.encoding.dimensions])
        moved = np.where(numeric, np.clip(centres + steps, low, high), rng.random(centres.shape))
        return np.concatenate([spread, np.where(changed, moved, centres)])

    def _maximise(
        self, acquisition: Acquisition, candidates: np.ndarray, low: np.ndarray, high: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        return maximise(acquisition, self._features, candidates, low, high)

    def _bounds(self, points: np.ndarray, losses: np.ndarray, gp: GP) -> tuple[np.ndarray, np.ndarray]:
        """The box, with the hyperparameters that must have a certain value fixed."""
        low, high = self._box(points, losses, gp)
        for i, dim in enumerate(self.encoding.dimensions):
            if dim.name in self._within:
                low[i] = high[i] = dim.to_unit(self._within[dim.name])
        return low, high

    def _box(self, points: np.ndarray, losses: np.ndarray, gp: GP) -> tuple[np.ndarray, np.ndarray]:
        """Bounds for numeric hyperparameters, shapes (d,): the whole space, or a trust region in high dimensions."""
        d = points.shape[1]
        if d <= MANY_DIMENSIONS:
            return np.zeros(d), np.ones(d)
        return self._trust_region(points, losses, gp)

    def _trust_region(self, points: np.ndarray, losses: np.ndarray, gp: GP) -> tuple[np.ndarray, np.ndarray]:
        """A box around the best config, with sides proportional to the lengthscales."""
        numeric = np.array([dim.numeric for dim in self.encoding.dimensions])
        return trust_region(points, losses, self.n_initial, np.exp(gp.theta[: points.shape[1]]), numeric)
