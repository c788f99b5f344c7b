"""Variants of ``bo`` and ``auto`` that change one component each, including ideas that were tried and rejected.

Variants are run by ``benchmarks.experiments.ablation`` under the name ``bo~NAME`` or ``auto~NAME``.
"""

from __future__ import annotations

from benchmarks.opponents.auto_variants import (
    Genetic,
    LateNoise,
    NoEarlyStopping,
    NoFamilies,
    Repeats,
    ShortThroughout,
)
from benchmarks.opponents.bo_variants import (
    Box,
    BoxInTurns,
    Exact,
    FewInitialInLarge,
    GreedyEnd,
    Local,
    ManyInitial,
    MoreInitial,
    NoCeiling,
    NoCeilingNoDoubt,
    NoDoubt,
    NoSearch,
    Ranks,
    Thetas,
)
from strategies.base import Strategy

VARIANTS: dict[str, tuple[type[Strategy], str]] = {
    "bo~no-search": (NoSearch, "takes the best of the 1,344 candidates without further maximisation"),
    "bo~no-ceiling": (NoCeiling, "no noise bound from tied losses"),
    "bo~no-doubt": (NoDoubt, "lengthscales as fitted, even without improvement"),
    "bo~credulous": (NoCeilingNoDoubt, "no noise bound from tied losses, and lengthscales as fitted"),
    "bo~exact": (Exact, "expected improvement averaged over the model and one without noise"),
    "bo~box-in-turns": (BoxInTurns, "a trust region at every second ask"),
    "bo~box": (Box, "a trust region in every space, as in TuRBO"),
    "bo~more-initial": (MoreInitial, "an initial design of 8 configurations also in spaces of more than three numbers"),
    "bo~few-initial-in-large": (
        FewInitialInLarge,
        "an initial design of 4 configurations also in spaces of more than ten hyperparameters",
    ),
    "bo~many-initial": (ManyInitial, "an initial design of 16 configurations"),
    "bo~local": (Local, "every second late proposal minimises a quadratic model around the best"),
    "bo~ranks": (Ranks, "the model is fitted to the ranks of the losses"),
    "bo~thetas": (Thetas, "expected improvement averaged over the fitted and four sampled model parameters"),
    "bo~greedy-end": (GreedyEnd, "the lowest predicted mean from trial 45 of 50 on"),
    "auto~genetic": (Genetic, "a genetic algorithm makes two of five proposals, more or fewer as it succeeds"),
    "auto~no-early-stopping": (NoEarlyStopping, "every configuration is trained fully"),
    "auto~no-short-phase": (
        ShortThroughout,
        "short trainings first during the whole budget, not only in a first phase",
    ),
    "auto~late-noise": (LateNoise, "losses of a configuration share noise only from 20 full trainings on"),
    "auto~no-families": (NoFamilies, "one surrogate for the whole space instead of one per model family"),
    "auto~repeats": (Repeats, "the last 12% of the budget trains the best configurations again; the best mean counts"),
}
"""BASE~NAME -> (class, one-line description)."""

FORMER = {
    "bo~few-initial": "an initial design of 4 configurations instead of 8",
    "bo~warped": "numbers warped by Kumaraswamy's distribution function",
    "auto~independent-noise": "independent noise for the losses of a configuration at different rungs",
    "auto~product-kernel": (
        "a kernel of configurations times one of the share of a full training, instead of one of both"
    ),
}
"""The descriptions of variants that have runs in results/, but no code: what they changed was adopted or dropped."""


def variants_of(base: str) -> list[str]:
    """The names of a strategy's variants."""
    return [name for name in VARIANTS if name.partition("~")[0] == base]
