"""Objectives and strategies of the searches in the tests of the tuner, and what is compared of two searches."""

import math

import numpy as np

from automl.tasks.registry import load_task
from strategies import make_strategy
from strategies.base import Proposal, Strategy

SPACE = {"x": {"float": [-5, 5]}, "n": {"int": [1, 9]}}
FINITE = {"n": {"int": [1, 4]}, "kind": {"choice": ["a", "b"]}}
BOWL = {"x": {"float": [0, 1]}, "y": {"float": [0, 1]}}
DIGITS = load_task("digits-cnn", train_size=200)


def loss(config: dict) -> float:
    return (config["x"] - 1) ** 2 + config["n"]


def curve(config: dict, seed: int):
    noise = np.random.default_rng(seed).random()
    for epoch in range(1, 100):
        yield {"loss": abs(config["x"]) + noise / epoch, "epoch": epoch}


def bowl(config: dict) -> float:
    return (config["x"] - 0.3) ** 2 + (config["y"] - 0.6) ** 2


def sinking(config: dict):
    for epoch in range(1, 10):
        yield bowl(config) + 1 / epoch


class Halving(Strategy):
    """A wrapper as early stopping needs it: every trial pauses after a third; every third told goes on to the end."""

    def __init__(self, space, *, seed, n_trials=None, max_epochs=1):
        super().__init__(space, seed=seed, n_trials=n_trials, max_epochs=max_epochs)
        self._inner = make_strategy("random", space, seed=seed, n_trials=n_trials, max_epochs=max_epochs)
        self._paused = {}
        self._continued = 0
        self._told = 0

    def ask(self):
        if self._paused and self._told // 3 > self._continued:
            best = min(self._paused, key=lambda trial: (self._paused[trial].loss, trial))
            proposal = Proposal(best, self._paused[best].proposal.config, self.max_epochs, {"from": "promoted"})
        else:
            inner = make_strategy("random", self.space, seed=self.seed)
            inner._n_asked, inner._next_trial = self._inner._n_asked, self._inner._next_trial
            asked = inner.ask()
            proposal = Proposal(asked.trial, asked.config, max(1, self.max_epochs // 3), {"from": "new"})
        self.restore(proposal)
        return proposal

    def restore(self, proposal):
        if proposal.trial in self._paused:
            del self._paused[proposal.trial]
            self._continued += 1
        else:
            self._inner.restore(proposal)

    def tell(self, outcome):
        if outcome.proposal.epochs < self.max_epochs:
            self._told += 1
            if outcome.loss is not None:
                self._paused[outcome.proposal.trial] = outcome

    @property
    def exhausted(self):
        return False


class StopsBad(Halving):
    """Full trainings, stopped after two epochs where the loss is above that of the first trial told before."""

    def __init__(self, space, **options):
        super().__init__(space, **options)
        self._bars = {}
        self._first = math.inf

    def ask(self):
        proposal = self._inner.ask()
        self._bars[proposal.trial] = self._first
        return proposal

    def restore(self, proposal):
        self._inner.restore(proposal)
        self._bars[proposal.trial] = self._first

    def tell(self, outcome):
        self._inner.tell(outcome)
        if self._first == math.inf and outcome.loss is not None:
            self._first = outcome.loss

    def should_stop(self, proposal, losses):
        return len(losses) >= 2 and losses[-1] > self._bars[proposal.trial]


def facts(result):
    return [(t.number, t.config, t.losses, t.metrics, t.state, t.error) for t in result.trials]


class Kill(BaseException):
    """As abrupt as it gets inside a process."""


def killed_after(n_events: int):
    def watch(tuner):
        nonlocal n_events
        n_events -= 1
        if n_events == 0:
            raise Kill

    return watch
