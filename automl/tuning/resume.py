"""A run that is continued: the strategy gets its log again, and what had no outcome is trained once more."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from automl.study.study import Study
from automl.study.trial import Asked
from automl.tuning.packs import first_of_pack
from strategies.base import Proposal, Strategy


def replay(study: Study, strategy: Strategy, n_workers: int) -> None:
    """Bring the strategy to where it was after the last entry of the log."""
    for entry in study.log:
        if isinstance(entry, Asked):
            strategy.restore(entry.proposal)
        else:
            strategy.tell(entry.outcome)
        strategy.charge(entry.seconds, n_workers)


def pending_packs(study: Study, shares: Callable[[Proposal], bool]) -> dict[int, list[Proposal]]:
    """The proposals without an outcome, by the first trial of the pack in which they were asked for. One that does not
    share a program is a pack of its own."""
    packs: dict[int, list[Proposal]] = {}
    for proposal in study.pending:
        first = first_of_pack(proposal) if shares(proposal) else proposal.trial
        packs.setdefault(first, []).append(proposal)
    return packs


def ask_again(study: Study, strategy: Strategy) -> Iterator[Proposal]:
    """The last proposals of trials that failed as they were too slow, each asked once more."""
    for trial in list(study.trials.values()):
        if trial.is_too_slow:
            proposal = trial.proposals[-1]
            strategy.restore(proposal)
            study.asked(proposal, 0.0)
            yield proposal
