"""Resuming a run: the log is replayed to the strategy, and proposals without an outcome are trained again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from automl.study.study import Study
from automl.study.trial import AskEntry
from automl.tuning.packs import first_of_pack
from strategies.base import Proposal, Strategy


def replay(study: Study, strategy: Strategy, n_workers: int) -> None:
    """Restore the strategy's state after the last entry of the log."""
    for entry in study.log:
        if isinstance(entry, AskEntry):
            strategy.restore(entry.proposal)
        else:
            strategy.tell(entry.outcome)
        strategy.charge(entry.seconds, n_workers)


def pending_packs(study: Study, shares: Callable[[Proposal], bool]) -> dict[int, list[Proposal]]:
    """The proposals without an outcome, by the first trial of their pack. One that does not share a program is a
    separate pack."""
    packs: dict[int, list[Proposal]] = {}
    for proposal in study.pending:
        first = first_of_pack(proposal) if shares(proposal) else proposal.trial
        packs.setdefault(first, []).append(proposal)
    return packs


def ask_again(study: Study, strategy: Strategy) -> Iterator[Proposal]:
    """Ask once more for the last proposal of each trial that failed for being too slow."""
    for trial in list(study.trials.values()):
        if trial.is_too_slow:
            proposal = trial.proposals[-1]
            strategy.restore(proposal)
            study.asked(proposal, 0.0)
            yield proposal
