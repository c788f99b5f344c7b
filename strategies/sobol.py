"""Sobol search: the scrambled Sobol sequence, which is also the initial design of the other strategies."""

from __future__ import annotations

import numpy as np

from strategies.config_strategy import ConfigStrategy
from strategies.types import JSON, Config


class SobolSearch(ConfigStrategy):
    """Low-discrepancy points, as in Bergstra and Bengio (JMLR 2012), section 5: fewer gaps than random draws."""

    needs_outcomes = False

    def _suggest(self, rng: np.random.Generator) -> tuple[Config, dict[str, JSON]]:
        return self.encoding.decode(self._design[self._n_asked]), {"from": "sobol"}
