"""How much of a command's time limit the search leaves to the final, the refit and the files."""

import re
import time
from dataclasses import dataclass, field

import pytest

from automl.runs.time_plan import FILES_SECONDS, FILES_SECONDS_A_TRIAL, MARGIN, RESERVED, Clock, TimePlan
from automl.space.parse import load_space
from automl.study.study import Study
from strategies.base import Outcome, Proposal

SPACE = load_space({"x": {"float": [0, 1], "default": 0.5}})


@dataclass
class Workers:
    n_workers: int = 2


@dataclass
class Searching:
    """The attributes of a Tuner that a plan reads."""

    study: Study
    time_limit: float = 1000.0
    n_restored: int = 0
    executor: Workers = field(default_factory=Workers)


def study_of(*seconds: float) -> Study:
    """The default and then other configs, each better than the one before, after 3 s in which a process started."""
    study, at = Study(SPACE, 1), 3.0
    for number, each in enumerate(seconds):
        proposal = Proposal(number, {"x": 0.5 + number / 10}, 1)
        at += each
        study.asked(proposal, 0.0)
        study.told(Outcome(proposal, (1.0 - number / 10,), each), 0.0, at)
    return study


def plan(n_seeds=3, **options) -> TimePlan:
    return TimePlan(Clock(), n_seeds=n_seeds, **{"refits": False, "keeps_model": False} | options)


def test_the_search_leaves_the_final_the_refit_and_the_files_their_time():
    tuner = Searching(study_of(10.0, 20.0, 30.0, 40.0))
    files = FILES_SECONDS + 4 * FILES_SECONDS_A_TRIAL
    final = 3 * MARGIN * (10 + 20 + 30 + 40) / 2  # the three best and the default, by two workers
    assert plan().after(tuner) == pytest.approx(final + files + 3)
    with_refit = final + files + 3 * 3 + MARGIN * 40  # no start for the refit
    assert plan(refits=True, keeps_model=True).after(tuner) == pytest.approx(with_refit)
    assert plan(n_seeds=0).after(tuner) == pytest.approx(files)
    assert plan().after(Searching(Study(SPACE, 1))) == 0.0  # nothing is known yet


def test_long_trainings_leave_the_search_its_share_and_the_final_fewer_seeds():
    tuner = Searching(study_of(100.0, 200.0), time_limit=300.0)
    assert plan().reserve(tuner) == plan().after(tuner) == RESERVED * 300
    per_seed = MARGIN * 200
    assert plan().seeds_within(tuner, None) == 3
    assert plan().seeds_within(tuner, 2.5 * per_seed) == 2
    assert plan().seeds_within(tuner, 0.1 * per_seed) == 1


@pytest.mark.parametrize(("limit", "reserved"), [(1000.0, 3), (200.0, None), (120.0, 1)])
def test_more_seeds_get_no_more_than_half_of_the_limit(limit, reserved):
    tuner = Searching(study_of(10.0, 20.0, 30.0, 40.0), time_limit=limit)
    one = MARGIN * (10 + 20 + 30 + 40) / 2
    files = FILES_SECONDS + 4 * FILES_SECONDS_A_TRIAL + 3
    assert plan().reserve(tuner) == pytest.approx(limit / 2 if reserved is None else reserved * one + files)


def test_what_came_before_the_search_counts():
    clock = Clock(time.monotonic() - 50)
    before = TimePlan(clock, n_seeds=0, refits=False, keeps_model=False)
    before.begin()
    assert before.reserve(Searching(Study(SPACE, 1))) == pytest.approx(50, abs=1)


@pytest.mark.parametrize(("limit", "seconds"), [(1000.0, 2.0), (30.0, 0.9)])
def test_the_search_leaves_a_little_to_the_importance_of_columns(limit, seconds):
    tuner = Searching(Study(SPACE, 1), time_limit=limit)
    assert plan(has_columns=True).reserve(tuner) - plan().reserve(tuner) == pytest.approx(seconds)


def test_the_stages_add_up_to_the_total():
    clock = Clock()
    with clock.during("search"):
        time.sleep(0.05)
    table = clock.table(strategy_seconds=0.02)
    assert table["strategy"] == 0.02
    assert 0.03 <= table["search"] <= table["total"] - 0.01  # each is rounded
    assert sum(table.values()) - table["total"] == pytest.approx(table["total"], abs=0.03)


@pytest.mark.parametrize(("n_seeds", "last"), [(0, "fits to all rows and their scores"), (3, "the final")])
def test_a_run_that_takes_longer_than_its_limit_says_what_took_the_time(n_seeds, last):
    clock = Clock(time.monotonic() - 20.0)
    plan = TimePlan(clock, n_seeds=n_seeds, refits=False, keeps_model=True)
    plan.begin()
    with clock.during("search"):
        time.sleep(0.01)
    assert plan.overrun(None) is None
    assert plan.overrun(19.0) is None, "within a tenth"
    said = plan.overrun(15.0)
    # On a busy machine it took a little longer.
    assert re.match(r"time limit: the run took 2\d\.\d s, longer than its 15 s: starting and reading 2\d\.\d s, ", said)
    assert re.search(r"the search \d\.\d s", said)
    assert f"{last} 0.0 s" in said
