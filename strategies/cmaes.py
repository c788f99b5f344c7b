"""CMA-ES for continuous, integer and categorical hyperparameters, from the cmaes package.

R. Hamano et al., CatCMA with Margin (GECCO 2025, arXiv 2504.07884), which builds on N. Hansen's CMA-ES
(arXiv 1604.00772). It needs about 50 trials per dimension to be effective.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from strategies.base import Outcome, Proposal
from strategies.config_strategy import ConfigStrategy, Key, key_of
from strategies.encoding import Dimension
from strategies.types import JSON, Config

if TYPE_CHECKING:
    from cmaes import CatCMAwM

INITIAL_STEP = 0.2  # standard deviation of the first generation, as a share of the range
MAX_DRAWS = 2  # populations that are drawn for a new config
MAX_POPULATION_SIZE = 256  # of restarts
MAX_CELLS = 100  # integers with more values than this are treated as continuous


class CMAES(ConfigStrategy):
    """The distribution is updated whenever the losses of a whole population are known, in any order of arrival. An
    outcome that later replaces one of these no longer changes it.

    A sample of a known config takes its loss, without another training. Once a whole population of
    samples is known, the search starts again at a random point with twice the population: A. Auger and N. Hansen, A
    Restart CMA Evolution Strategy with Increasing Population Size (CEC 2005).
    """

    def __init__(self, *args, **kwargs) -> None:  # type: ignore[no-untyped-def]
        super().__init__(*args, **kwargs)
        self._samples: dict[int, CatCMAwM.Solution] = {}  # pending ones, by trial
        self._generation: list[tuple[CatCMAwM.Solution, int]] = []  # told ones, with their trial
        self._trial_of: dict[Key, int] = {}  # the first trial of each told config

    def _suggest(self, rng: np.random.Generator) -> tuple[Config, dict[str, JSON]]:
        return self._decode(self._draw()[-1]), {"from": "cmaes", "generation": self._optimizer.generation}

    def _ask(self, within: Config, about: Mapping[str, JSON] = MappingProxyType({})) -> Proposal | None:
        started = "_optimizer" in vars(self)
        proposal = super()._ask(within, about)
        if proposal is None and not started:
            # A restored run draws nothing here: its optimizer starts later, perhaps around a better outcome.
            vars(self).pop("_optimizer", None)
        return proposal

    def restore(self, proposal: Proposal) -> None:
        if proposal.info.get("from") == "cmaes":
            # Repeats the draws: the distribution is the one the proposal was drawn from.
            self._take(self._draw(), proposal)
        super().restore(proposal)

    def tell(self, outcome: Outcome) -> None:
        super().tell(outcome)
        trial = outcome.proposal.trial
        self._trial_of.setdefault(key_of(outcome.proposal.config), trial)
        if trial in self._samples:
            self._generation.append((self._samples.pop(trial), trial))
        self._update()

    def _draw(self) -> list[CatCMAwM.Solution]:
        """Samples until one is a new config, at most MAX_DRAWS populations."""
        seed = np.random.SeedSequence((self.seed, self._n_asked)).generate_state(1)[0]
        self._optimizer.reseed_rng(int(seed))
        samples: list[CatCMAwM.Solution] = []
        while len(samples) < MAX_DRAWS * self._optimizer.population_size:
            samples.append(self._optimizer.ask())
            if self.is_new(self._decode(samples[-1])):
                break
        return samples

    def _take(self, samples: list[CatCMAwM.Solution], proposal: Proposal) -> None:
        """Use the samples whose configs are known or proposed. Others would mislead: forbidden ones, and those replaced
        by a distant config, whose success would be credited to the step size."""
        trials = [self._trial_of.get(key_of(self._decode(sample))) for sample in samples]
        if None not in trials and len(trials) >= self._optimizer.population_size:
            self._restart()
            return
        self._generation += [(each, trial) for each, trial in zip(samples, trials, strict=True) if trial is not None]
        if self._decode(samples[-1]) == proposal.config:
            self._samples[proposal.trial] = samples[-1]
        self._update()

    def _update(self) -> None:
        """Update the distribution with each complete generation."""
        while self._generation and len(self._generation) >= (size := self._optimizer.population_size):
            told, self._generation = self._generation[:size], self._generation[size:]
            losses = dict(zip(self.outcomes, self.observations()[1], strict=True))
            # Ranks instead of losses: with ties and failures, the penalty for bounds would have no scale.
            ranks = np.argsort(np.argsort([losses[trial] for _, trial in told], kind="stable"))
            self._optimizer.tell([(sample, float(rank)) for (sample, _), rank in zip(told, ranks, strict=True)])

    def _restart(self) -> None:
        """Start again at a random point; pending samples of the earlier distribution do not count."""
        size = min(2 * self._optimizer.population_size, MAX_POPULATION_SIZE)
        start = np.random.default_rng((self.seed, self._n_asked)).random(len(self.encoding.dimensions))
        self._generation, self._samples = [], {}
        self._optimizer = self._started(start, size)

    @cached_property
    def _kinds(self) -> tuple[list[int], list[int], list[int]]:
        """The indices of continuous, integer and categorical dimensions; constants are excluded."""
        dims = [(i, dim) for i, dim in enumerate(self.encoding.dimensions) if dim.n_values > 1]
        categorical = [i for i, dim in dims if not dim.numeric or dim.n_values == 2]
        whole = [i for i, dim in dims if i not in categorical and dim.n_values <= MAX_CELLS]
        return [i for i, _ in dims if i not in categorical and i not in whole], whole, categorical

    @cached_property
    def _optimizer(self) -> CatCMAwM:
        configs, losses = self.observations()
        return self._started(self.encoding.encode(configs[int(np.argmin(losses))]))  # the default or best warm start

    def _started(self, start: np.ndarray, population_size: int | None = None) -> CatCMAwM:
        """An optimizer around a point (d,); by default with a population size for the number of dimensions."""
        from cmaes import CatCMAwM

        continuous, whole, categorical = self._kinds
        dims = self.encoding.dimensions
        gaussian = [*continuous, *whole]
        return CatCMAwM(
            x_space=[[0.0, 1.0]] * len(continuous) or None,
            z_space=[_cells(dims[i]) for i in whole] or None,
            c_space=[int(dims[i].n_values) for i in categorical] or None,
            mean=start[gaussian].copy() if gaussian else None,
            cov=np.eye(len(gaussian)) * INITIAL_STEP**2 if gaussian else None,
            population_size=population_size,
        )

    def _decode(self, sample: CatCMAwM.Solution) -> Config:
        continuous, whole, categorical = self._kinds
        point = self.encoding.encode({})
        if sample.x is not None:
            point[continuous] = sample.x
        if sample.z is not None:
            point[whole] = sample.z
        if sample.c is not None:
            for i, one_hot in zip(categorical, sample.c, strict=True):
                point[i] = (int(np.argmax(one_hot)) + 0.5) / self.encoding.dimensions[i].n_values
        return self.encoding.decode(point)


def _cells(dim: Dimension) -> list[float]:
    return dim.grid(int(dim.n_values))
