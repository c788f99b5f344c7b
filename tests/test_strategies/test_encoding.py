"""The encoding: values and coordinates, activity, forbidden clauses, enumeration."""

import numpy as np
import pytest
from ConfigSpace import Configuration, ConfigurationSpace
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from spaces import N_CELLS_FINITE, SPACES, space

from automl.space.parse import load_space
from strategies.encoding import Encoding

ENCODINGS = {name: Encoding(space(name)) for name in SPACES}


@pytest.mark.parametrize("name", SPACES)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_decoding_gives_legal_configs_and_round_trips(name, data):
    encoding = ENCODINGS[name]
    d = len(encoding.dimensions)
    point = np.array(data.draw(st.lists(st.floats(0, 1), min_size=d, max_size=d)))
    config = encoding.decode(point)
    encoding_again = encoding.decode(encoding.encode(config))
    assert encoding_again == config
    if encoding.allows(config):
        Configuration(space(name), values=config)
        encoding.check(config)


@pytest.mark.parametrize("name", SPACES)
def test_neighbours_are_legal_and_most_differ(name):
    encoding, rng = ENCODINGS[name], np.random.default_rng(0)
    n_equal = 0
    for _ in range(100):
        config = encoding.decode(rng.random(len(encoding.dimensions)))
        for n_changes in (1, 3):
            neighbour = encoding.neighbour(config, rng, n_changes)
            n_equal += neighbour == config
            if encoding.allows(neighbour):
                Configuration(space(name), values=neighbour)
    assert n_equal < 60  # a choice may be redrawn as it was


def test_every_value_of_an_int_has_an_equal_share():
    depth = next(dim for dim in ENCODINGS["mixed"].dimensions if dim.name == "depth")
    values = [depth.from_unit(u) for u in np.linspace(0, 1, 4001)[:-1] + 1 / 8000]
    assert stats.chisquare([values.count(k) for k in (1, 2, 3, 4)]).pvalue > 0.9


def test_a_log_scale_is_linear_in_the_logarithm():
    lr = next(dim for dim in ENCODINGS["mixed"].dimensions if dim.name == "lr")
    assert lr.from_unit(0.0) == 1e-5
    assert lr.from_unit(0.25) == pytest.approx(1e-4)
    assert lr.from_unit(1.0) == 1e-1
    assert lr.to_unit(1e-3) == pytest.approx(0.5)


def test_the_cells_of_a_finite_space_are_enumerated_once():
    cells = list(ENCODINGS["finite"].cells())
    assert len(cells) == N_CELLS_FINITE == len({tuple(sorted(c.items())) for c in cells})
    for config in cells:
        Configuration(space("finite"), values=config)


def test_finite_means_without_floats():
    assert [name for name in SPACES if ENCODINGS[name].finite] == ["categorical", "finite"]


def test_inactive_hyperparameters_are_at_their_default():
    encoding = ENCODINGS["conditional"]
    assert list(encoding.encode({})) == list(encoding.encode(encoding.default))


def test_true_is_not_one():
    with pytest.raises(ValueError, match="must be one of"):
        ENCODINGS["mixed"].check(ENCODINGS["mixed"].default | {"bias": 1})


@pytest.mark.timeout(20)
def test_a_forbidden_block_of_a_large_space_is_skipped():
    form = {name: {"int": [0, 9], "default": 9} for name in "abcdefghi"}
    forbidden = [{"a": [0, 1, 2]}, {"a": [3, 4], "b": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}]
    cells = Encoding(load_space(form | {"forbidden": forbidden})).cells()
    assert next(cells) == dict.fromkeys("abcdefghi", 0) | {"a": 5}


def test_values_that_a_study_would_change_are_refused():
    with pytest.raises(ValueError, match=r"'k': values must be numbers, strings or booleans, got \(3, 3\)"):
        Encoding(ConfigurationSpace({"k": [(3, 3), (5, 5)]}))
