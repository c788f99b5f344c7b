"""CMA-ES for continuous, integer and categorical hyperparameters, from the cmaes package.

R. Hamano et al., CatCMA with Margin (GECCO 2025, arXiv 2504.07884), which builds on N. Hansen's CMA-ES
(arXiv 1604.00772). It needs about 50 trials per dimension to be effective.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from strategies.base import Outcome, Proposal
from strategies.config_strategy import ConfigStrategy
from strategies.encoding import Dimension
from strategies.types import JSON, Config

if TYPE_CHECKING:
    from cmaes import CatCMAwM

INITIAL_STEP = 0.2  # standard deviation of the first generation, as a share of the range
MAX_CELLS = 100  # integers with more values than this are treated as continuous


class CMAES(ConfigStrategy):
    """The distribution is updated once as many samples as the population size were told, in any order."""

    def __init__(self, *args, **kwargs) -> None:  # type: ignore[no-untyped-def]
        super().__init__(*args, **kwargs)
        self._samples: dict[int, CatCMAwM.Solution] = {}  # pending ones, by trial
        self._generation: list[tuple[CatCMAwM.Solution, int]] = []  # told ones, with their trial

    def _suggest(self, rng: np.random.Generator) -> tuple[Config, dict[str, JSON]]:
        return self._decode(self._sample()), {"from": "cmaes", "generation": self._optimizer.generation}

    def restore(self, proposal: Proposal) -> None:
        if proposal.info.get("from") == "cmaes":
            # Repeats the draw: the distribution is the one the proposal was drawn from.
            self._samples[proposal.trial] = self._sample()
        super().restore(proposal)

    def tell(self, outcome: Outcome) -> None:
        super().tell(outcome)
        trial = outcome.proposal.trial
        if trial in self._samples:
            self._generation.append((self._as_proposed(self._samples.pop(trial), outcome.proposal.config), trial))
        if self._generation and len(self._generation) == self._optimizer.population_size:
            losses = dict(zip(self.outcomes, self.observations()[1], strict=True))
            # Ranks instead of losses: with ties and failures, the penalty for bounds would have no scale.
            ranks = np.argsort(np.argsort([losses[trial] for _, trial in self._generation], kind="stable"))
            solutions = [(sample, float(rank)) for (sample, _), rank in zip(self._generation, ranks, strict=True)]
            self._optimizer.tell(solutions)
            self._generation = []

    def _sample(self) -> CatCMAwM.Solution:
        seed = np.random.SeedSequence((self.seed, self._n_asked)).generate_state(1)[0]
        self._optimizer.reseed_rng(int(seed))
        return self._optimizer.ask()

    @cached_property
    def _kinds(self) -> tuple[list[int], list[int], list[int]]:
        """The indices of continuous, integer and categorical dimensions; constants are excluded."""
        dims = [(i, dim) for i, dim in enumerate(self.encoding.dimensions) if dim.n_values > 1]
        categorical = [i for i, dim in dims if not dim.numeric or dim.n_values == 2]
        whole = [i for i, dim in dims if i not in categorical and dim.n_values <= MAX_CELLS]
        return [i for i, _ in dims if i not in categorical and i not in whole], whole, categorical

    @cached_property
    def _optimizer(self) -> CatCMAwM:
        from cmaes import CatCMAwM

        continuous, whole, categorical = self._kinds
        dims = self.encoding.dimensions
        configs, losses = self.observations()
        start = self.encoding.encode(configs[int(np.argmin(losses))])  # the default config or the best warm start
        gaussian = [*continuous, *whole]
        return CatCMAwM(
            x_space=[[0.0, 1.0]] * len(continuous) or None,
            z_space=[_cells(dims[i]) for i in whole] or None,
            c_space=[int(dims[i].n_values) for i in categorical] or None,
            mean=start[gaussian].copy() if gaussian else None,
            cov=np.eye(len(gaussian)) * INITIAL_STEP**2 if gaussian else None,
        )

    def _as_proposed(self, sample: CatCMAwM.Solution, config: Config) -> CatCMAwM.Solution:
        """The sample, moved to the config that was trained if the two differ."""
        if self._decode(sample) == config:
            return sample
        continuous, whole, categorical = self._kinds
        point = self.encoding.encode(config)
        changes = {"x": point[continuous], "z": point[whole], "_v_raw": point[[*continuous, *whole]]}
        changes = {name: value for name, value in changes.items() if getattr(sample, name) is not None}
        if sample.c is not None:
            one_hot = np.zeros_like(sample.c)
            for row, i in zip(one_hot, categorical, strict=True):
                row[int(point[i] * self.encoding.dimensions[i].n_values)] = True
            changes["c"] = one_hot
        return replace(sample, **changes)

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
