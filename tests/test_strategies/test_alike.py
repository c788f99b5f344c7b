"""Proposals for trainings that share a program: alike in what a key says, and otherwise as any."""

import pytest
from spaces import loss_of, space

from strategies import STRATEGIES, WRAPPERS, make_strategy
from strategies._alike import shared_values
from strategies.base import Outcome, Start
from strategies.encoding import Encoding
from strategies.fidelity import Fidelity

PACKED = [name for name in STRATEGIES if name != "grid"]
SPECS = [*(name for name in PACKED if name != "skopt"), *(f"bo+{wrapper}" for wrapper in WRAPPERS)]
DEFAULT = {"lr": 1e-3, "n": 23, "depth": 2, "width": 32, "kind": "cnn", "bias": True}


def key(config):
    """Of the space `mixed`."""
    return config["width"], config["kind"], config["depth"] > 1


def outcome(proposal):
    losses = tuple(loss_of(proposal.config) + 1.0 / epoch for epoch in range(1, proposal.epochs + 1))
    return Outcome(proposal, losses, 1.0)


def make(spec, **options):
    return make_strategy(spec, space("mixed"), seed=3, n_trials=30, max_epochs=9, **options)


def pack(strategy, n=3):
    """A first proposal and those like it, until there is none."""
    proposals = [strategy.ask()]
    while len(proposals) < n and (alike := strategy.ask_alike(proposals[0], key)) is not None:
        proposals.append(alike)
    return proposals


def test_what_is_shared_are_the_hyperparameters_on_which_the_key_depends():
    found = shared_values(Encoding(space("mixed")), DEFAULT, key)
    assert found == {"depth": 2, "width": 32, "kind": "cnn"}


@pytest.mark.parametrize("spec", SPECS)
def test_a_pack_is_alike_new_and_in_the_space(spec):
    strategy, seen = make(spec), []
    for _ in range(5):
        proposals = pack(strategy)
        assert len({key(proposal.config) for proposal in proposals}) == 1
        for proposal in proposals:
            Encoding(strategy.space).check(proposal.config)
            assert proposal.alike in (None, proposals[0].trial)
            strategy.tell(outcome(proposal))
        seen += [proposal for proposal in proposals if proposal.is_new]
    first_asked = {proposal.trial: tuple(proposal.config.items()) for proposal in seen}
    assert len(set(first_asked.values())) == len(first_asked)
    assert any(proposal.alike is not None for proposal in seen)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("n_alike", [1, 2])
def test_a_run_restored_within_a_pack_goes_on_with_the_same_proposals(spec, n_alike):
    strategy, restored = make(spec), make(spec)
    for _ in range(4):
        for proposal in pack(strategy):
            restored.restore(proposal)
            strategy.tell(outcome(proposal))
            restored.tell(outcome(proposal))
    first, *others = pack(strategy, n_alike)
    for proposal in (first, *others):
        restored.restore(proposal)
    assert restored.ask_alike(first, key) == strategy.ask_alike(first, key)
    assert restored.ask() == strategy.ask()


@pytest.mark.parametrize("name", PACKED)
def test_without_a_new_config_of_the_kind_there_is_none_and_nothing_changes(name):
    strategy, twin = (make_strategy(name, space("finite"), seed=0, n_trials=30) for _ in range(2))
    first, same = strategy.ask(), twin.ask()
    n = 2 if first.config["b"] == "p" else 5  # other configs with this b
    alike = [strategy.ask_alike(first, lambda config: config["b"]) for _ in range(9)]
    assert [proposal is None for proposal in alike] == [False] * n + [True] * (9 - n)
    assert all(proposal.config["b"] == first.config["b"] for proposal in alike[:n])
    assert [twin.ask_alike(same, lambda config: config["b"]) for _ in range(n)] == alike[:n]
    assert strategy.ask() == twin.ask()


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("n_told", [0, 12])
def test_a_pack_that_could_not_be_filled_changes_nothing_even_if_outcomes_follow(spec, n_told):
    strategy, restored = make(spec), make(spec)

    def tell(proposal, loss):
        for each in (strategy, restored):
            each.tell(Outcome(proposal, (loss,) * proposal.epochs, 1.0))

    def ask():
        proposal = strategy.ask()
        restored.restore(proposal)
        return proposal

    pending = [ask() for _ in range(4)]
    for n in range(n_told):
        tell(pending.pop(0), 20.0 - n)
        pending.append(ask())
    tell(pending.pop(0), 0.5)  # nothing was asked for since: a model is first fitted to this one for the pack
    assert strategy.ask_alike(pending[-1], lambda config: tuple(config.items())) is None
    for n, proposal in enumerate(pending):
        tell(proposal, 0.4 - 0.1 * n)
    for _ in range(3):
        assert strategy.ask() == restored.ask()


def test_a_config_to_start_with_waits_for_a_pack_of_its_kind():
    wide, deep = DEFAULT | {"width": 128}, DEFAULT | {"lr": 0.01}
    strategy = make("bo", prior=[Start(wide), Start(deep)])
    assert [proposal.config for proposal in pack(strategy, 2)] == [DEFAULT, deep]
    assert strategy.ask().config == wide


def test_promotions_of_one_kind_share_a_pack():
    options = {"seed": 3, "n_trials": 60, "max_epochs": 20, "fidelity": lambda config: Fidelity("restart")}
    strategy, promoted = make_strategy("auto", space("numeric"), **options), []
    for _ in range(2):
        proposals = [first := strategy.ask()]
        while len(proposals) < 9 and (alike := strategy.ask_alike(first, lambda config: "any")) is not None:
            proposals.append(alike)
        promoted += [proposal for proposal in proposals if proposal.promotes is not None]
        for proposal in proposals:
            strategy.tell(outcome(proposal))
    assert [proposal.alike for proposal in promoted] == [None, promoted[0].trial]
    assert {proposal.epochs for proposal in promoted} == {20}
