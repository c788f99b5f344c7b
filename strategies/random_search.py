"""Random search: J. Bergstra and Y. Bengio, Random Search for Hyper-Parameter Optimization (JMLR 2012)."""

from __future__ import annotations

import numpy as np

from strategies.config_strategy import ConfigStrategy
from strategies.types import JSON, Config


class RandomSearch(ConfigStrategy):
    """Uniform in the encoded space: log-scaled hyperparameters uniformly in their logarithm."""

    needs_outcomes = False

    def _suggest(self, rng: np.random.Generator) -> tuple[Config, dict[str, JSON]]:
        # A forbidden config is redrawn rather than repaired, which keeps the draws uniform.
        for _ in range(100):
            config = self.encoding.decode(rng.random(len(self.encoding.dimensions)))
            if self.is_new(config):
                break
        return config, {"from": "random"}
