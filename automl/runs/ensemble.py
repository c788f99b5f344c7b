"""The end of a cross-validated run: greedy weights from out-of-fold predictions, and members fitted to all rows."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from automl.analysis.formatting import at_resolution, scored_on
from automl.data.datasets.registry import load_data
from automl.data.targets import levels_of
from automl.deployment.calibration import below_quantiles
from automl.deployment.model_card import ModelDraft, write_card
from automl.metrics import METRICS, measure_all
from automl.runs.final_model import fingerprint
from automl.runs.latency import fast_enough, milliseconds_per_row
from automl.runs.member_candidates import MemberCandidate, candidates
from automl.runs.members import Models, fitted_models, forget_models
from automl.runs.selection import Selection, affordable, choose, without_damaged
from automl.study.run_folder import replace_folder
from automl.wording import significant

if TYPE_CHECKING:
    from automl.study.run_folder import RunFolder
    from automl.tasks.cross_validated import CrossValidated
    from automl.tuning.tuner import Tuner

NOT_REFITTED = "fitted to the training set alone, as the time limit leaves no time to add the validation set"
MAX_ATTEMPTS = 3  # each without the last one's members, if none of them could be fitted


def build(
    task: CrossValidated,
    tuner: Tuner,
    folder: RunFolder,
    about: Mapping[str, Any],
    *,
    max_members: int | None,
    left: float,
    milliseconds: float | None,
    watch: Callable[[str], None],
    say: Callable[[str], None],
) -> dict[str, Any] | None:
    """Choose the members, fit them to all rows, write ``model/`` and return its card; None if no trial is complete, or
    nothing could be fitted.

    ``left``: seconds for the fits to all rows. ``milliseconds``: maximum per row.
    ``watch``: called with a line of progress. ``say``: called with a line that the user should see afterwards.
    """
    found = candidates(task, list(tuner.study.trials.values()), folder, say)
    chosen, models = _fitted(task, tuner, found, max_members, left, watch, say)
    if chosen is None:
        if tuner.study.counts["complete"]:
            say("no model: the files of every trial are damaged, or every fit to all rows failed; start the run again")
        return None
    if milliseconds is not None:
        chosen = _within(task, chosen, models, milliseconds, say)
    watch("scoring the model on the test set")
    card = write_model(task, chosen, models, folder, about)
    forget_models(task, found, set(chosen.members))
    return card


def _fitted(
    task: CrossValidated,
    tuner: Tuner,
    found: Sequence[MemberCandidate],
    max_members: int | None,
    left: float,
    watch: Callable[[str], None],
    say: Callable[[str], None],
) -> tuple[Selection | None, dict[int, Models]]:
    """The choice and its fitted models. If some fits fail, choose among the other members; if all do, among
    the other candidates."""
    end = time.monotonic() + left
    for _ in range(MAX_ATTEMPTS):
        if not found:
            break
        left = max(0.0, end - time.monotonic())
        found, chosen = without_damaged(task, found, max_members, left, say)
        chosen = affordable(task, found, chosen, max(1, tuner.executor.n_workers), left)
        for line in _for_lack_of_time(chosen):
            say(f"ensemble: {line}")
        log = partial(tuner.log.write, stage="refit")
        models = fitted_models(
            task, chosen.members, tuner.executor, tuner.device, left, as_scored=chosen.as_scored, watch=watch, say=say,
            log=log,
        )  # fmt: skip
        if models:
            if len(models) < len(chosen.members):
                fitted = [chosen.members[number] for number in models]
                again = choose(task, fitted, max_members)
                chosen = replace(again, wanted=chosen.wanted, as_scored=chosen.as_scored & again.members.keys())
            return chosen, models
        found = [candidate for candidate in found if candidate.trial.number not in chosen.members]
    return None, {}


def _within(
    task: CrossValidated,
    before: Selection,
    models: Mapping[int, Models],
    milliseconds: float,
    say: Callable[[str], None],
) -> Selection:
    """The choice, with members dropped until its predictions are fast enough."""

    def latency(member: MemberCandidate) -> float:
        return milliseconds_per_row(task, models[member.trial.number])

    after, known = fast_enough(task, before, latency, milliseconds)
    took, takes = (sum(known[number] for number in each.members) for each in (before, after))
    if len(after.members) < len(before.members):
        n = f"{len(after.members)} of {len(before.members)} members"
        instead = f"{significant(takes, 3)} instead of {significant(took, 3)}"
        say(f"--max-latency {milliseconds:g}: {n}, {instead} milliseconds per row")
    if takes > milliseconds:
        say(f"--max-latency {milliseconds:g}: the fastest member takes {significant(takes, 3)} milliseconds per row")
    return replace(after, wanted=before.wanted, as_scored=before.as_scored & after.members.keys())


def write_model(
    task: CrossValidated, chosen: Selection, models: Mapping[int, Models], folder: RunFolder, about: Mapping[str, Any]
) -> dict[str, Any]:
    """Create ``model/`` atomically and return its card."""
    from automl.deployment.predictor import Member, Predictor

    start = time.perf_counter()
    aside = folder.path / "model.writing"
    shutil.rmtree(aside, ignore_errors=True)
    task.export_rest(aside)
    members, entries = [], []
    for number, member in chosen.members.items():
        own = models[number]
        for i, model in enumerate(own):
            weight = chosen.weights[number] / len(own)
            name = f"members/{number}" + (f"-{i}" if len(own) > 1 else "")
            model.save(aside / name)
            members.append(Member(model, weight))
            entries.append(
                {
                    "folder": name,
                    "weight": weight,
                    "trial": number,
                    "family": member.family,
                    "score": member.trial.metrics[task.metric][-1],
                    "config": dict(member.trial.config),
                }
            )
    rules: dict[str, Any] = {"threshold": chosen.threshold, "shifts": chosen.shifts}
    kept = ModelDraft("ensemble", description(task, chosen), entries, **rules)
    splits = load_data(task.data_of(""), None)
    has_test, begin = len(splits.y_test) > 0, time.perf_counter()
    part = "x_test" if has_test else "x_valid"
    predicted = Predictor(members, None, rules).judge(
        lambda family: getattr(load_data(task.data_of(family), None), part)
    )
    seconds = time.perf_counter() - begin
    if has_test:
        weights, levels = task.weights("test"), levels_of(splits.target)
        kept.scores = measure_all(splits.target.kind, splits.y_test, predicted, chosen.threshold, weights, levels)
        kept.below_quantiles = below_quantiles(splits.y_test, predicted, levels, weights)
    kept.baseline = task.baseline()
    facts = dict(about) | {
        "folds": task.max_epochs,
        "milliseconds_per_row": round(1000 * seconds / len(predicted), 4),
        "seconds_to_write": round(time.perf_counter() - start, 2),
    }
    card = write_card(aside, task, kept, fingerprint(splits), facts, chosen.score)
    replace_folder(folder.model, aside)
    return card


def _for_lack_of_time(chosen: Selection) -> Iterator[str]:
    """What the model lacks since the time limit is too short."""
    n, n_as_scored = len(chosen.members), len(chosen.as_scored)
    if n == chosen.wanted:
        yield "not the best members, as the time limit leaves no time to fit these"
    elif chosen.wanted:
        yield f"{n} of {chosen.wanted} members, as the time limit leaves no time to fit more"
    if n_as_scored == n:
        yield NOT_REFITTED
    elif n_as_scored:
        yield f"{n_as_scored} of {n} members {NOT_REFITTED}"


def description(task: CrossValidated, chosen: Selection) -> str:
    """A description of the model, with the scores it was chosen by and any missing members."""
    return "; ".join([_members_in_words(task, chosen), *_for_lack_of_time(chosen)])


def _members_in_words(task: CrossValidated, chosen: Selection) -> str:
    scored = f"{task.metric} {at_resolution(chosen.score, None)} {scored_on(task.max_epochs)}"
    judge = METRICS[task.metric].stand_in or task.metric
    together, alone = (at_resolution(METRICS[judge].of_mean(loss), None) for loss in (chosen.loss, chosen.alone))
    by = f"{judge.replace('_', ' ')} {together}"
    if len(chosen.members) == 1:
        (member,) = chosen.members.values()
        text, leader = f"a single {member.family}; {scored}", chosen.leader
        if leader is None:
            return text
        best = at_resolution(leader.trial.metrics[task.metric][-1], None)
        best += f", {leader.family} of trial {leader.trial.number}"
        return f"{text}, chosen by its {by} (by {task.metric} alone, the best is {best}, which is within the noise)"
    parts: dict[str, float] = {}
    for number, member in chosen.members.items():
        parts[member.family] = parts.get(member.family, 0.0) + chosen.weights[number]
    names = ", ".join(f"{family} {weight:.0%}" for family, weight in sorted(parts.items(), key=lambda part: -part[1]))
    return (
        f"an ensemble of {len(chosen.members)} models ({names}); {scored} "
        f"({'' if judge == task.metric else f'{by}, '}the best alone {alone})"
    )
