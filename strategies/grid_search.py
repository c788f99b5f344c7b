"""Grid search on nested grids: any prefix is a coarse grid, and a finite space is eventually enumerated."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterator
from functools import cached_property

import numpy as np

from strategies.base import Proposal
from strategies.config_strategy import ConfigStrategy
from strategies.types import JSON, Config


class GridSearch(ConfigStrategy):
    """Starts from the centre cell and refines one hyperparameter per stage, in the order of the space.

    A refinement takes a numeric hyperparameter from its centre to three values, then five, nine, ... (so earlier values
    are kept), and a choice from its first value to all of them. The new cells of a stage come in random order. With d
    hyperparameters and a budget of N, only the first log3(N) or so are varied, as in any grid.
    """

    default_first = False
    needs_outcomes = False

    def ask_alike(self, first: Proposal, key: Callable[[Config], Hashable]) -> Proposal | None:
        return None  # cells are proposed in a fixed order

    def _suggest(self, rng: np.random.Generator) -> tuple[Config, dict[str, JSON]]:
        # Known configs are skipped, so the position in the sequence need not be restored.
        new = ((config, info) for config, info in self._cells_by_stage if self.is_new(config))
        known: tuple[Config, dict[str, JSON]] = (self.encoding.default, {"from": "grid"})
        return next(new, known)  # if a narrow range has no more floats

    @cached_property
    def _cells_by_stage(self) -> Iterator[tuple[Config, dict[str, JSON]]]:
        return self._stages()

    def _stages(self) -> Iterator[tuple[Config, dict[str, JSON]]]:
        dimensions = self.encoding.dimensions
        axes = [dim.grid(1) for dim in dimensions]
        yield self.encoding.decode(np.array([axis[0] for axis in axes])), {"from": "grid", "stage": 0}
        complete = set[int]()  # axes with every value that there is
        for stage in itertools.count(1):
            coarse = [i for i, dim in enumerate(dimensions) if i not in complete and len(axes[i]) < dim.n_values]
            if not coarse:
                return
            i = min(coarse, key=lambda j: len(axes[j]))
            finer = dimensions[i].grid(max(3, 2 * len(axes[i]) - 1))
            kept = [dimensions[i].from_unit(u) for u in axes[i]]
            new = [u for u in finer if dimensions[i].from_unit(u) not in kept]
            if not new:
                complete.add(i)
            cells = self._cells_of([*axes[:i], new, *axes[i + 1 :]], i)
            axes[i] = finer
            np.random.default_rng((self.seed, stage)).shuffle(cells)
            for _, config in cells:
                yield config, {"from": "grid", "stage": stage}

    def _cells_of(self, axes: list[list[float]], active: int) -> list[tuple[list[int], Config]]:
        """The distinct configs on these axes in which a hyperparameter is active, in lexical order of their places."""
        dimensions = self.encoding.dimensions
        values = [[dim.from_unit(u) for u in axis] for dim, axis in zip(dimensions, axes, strict=True)]
        cells = [
            ([places.get(j, 0) for j in range(len(axes))], config)
            for config, places in self.encoding.combinations(values)
            if active in places
        ]
        return sorted(cells, key=lambda cell: cell[0])
