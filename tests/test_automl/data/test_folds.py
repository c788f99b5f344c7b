"""The folds of cross-validation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.data.ingest.folds import (
    N_FOLDS,
    TRAIN_ONLY,
    copy_folds,
    first_varied,
    group_folds,
    merged,
    random_folds,
    time_folds,
)


@given(st.lists(st.integers(0, 3), min_size=16, max_size=200))
@settings(max_examples=50, deadline=None)
def test_each_fold_has_its_share_of_every_class(labels):
    y = np.array(labels)
    folds = random_folds(y)
    for n in (N_FOLDS, 4, 2):
        found = merged(folds, n)
        for label in np.unique(y):
            counts = np.bincount(found[y == label], minlength=n)
            assert counts.max() - counts.min() <= N_FOLDS // n
        sizes = np.bincount(found, minlength=n)
        assert sizes.max() - sizes.min() <= N_FOLDS // n


def test_no_fold_has_lower_numbers_than_others():
    y = np.arange(1603.0)
    folds = random_folds(y)
    places = [(y[folds == fold] % N_FOLDS).mean() for fold in range(N_FOLDS)]  # within each range of eight numbers
    assert places == pytest.approx([(N_FOLDS - 1) / 2] * N_FOLDS, abs=0.7)
    assert sorted(np.bincount(folds)) == [200] * 5 + [201] * 3
    assert all(len(set(folds[start : start + N_FOLDS])) == N_FOLDS for start in range(0, 1600, N_FOLDS))


@given(st.lists(st.integers(0, 30), min_size=1, max_size=200))
@settings(max_examples=50, deadline=None)
def test_a_group_is_in_one_fold(groups):
    found, names = group_folds(np.array(groups)), np.array(groups)
    assert (found is None) == (len(set(groups)) < N_FOLDS)
    if found is not None:
        assert set(found) == set(range(N_FOLDS))
        assert all(len(set(found[names == name])) == 1 for name in names)


@given(st.lists(st.integers(0, 400), min_size=40, max_size=400))
@settings(max_examples=50, deadline=None)
def test_copies_are_in_one_fold(keys):
    found = copy_folds((np.array(keys) % 2).astype(float), np.array(keys))
    assert (found is None) == (len(set(keys)) < N_FOLDS)
    if found is not None:
        assert set(found) == set(range(N_FOLDS))
        assert all(len(set(found[np.array(keys) == key])) == 1 for key in keys)


def test_one_copy_changes_little_of_the_folds():
    keys, y = np.r_[np.arange(400), 0], np.arange(401) % 4
    counts = np.array([np.bincount(y[copy_folds(y, keys) == fold], minlength=4) for fold in range(N_FOLDS)])
    assert counts.min() >= 11
    assert counts.max() <= 15


def test_times_go_forward_and_the_older_half_is_only_trained_on():
    rng = np.random.default_rng(0)
    times = rng.integers(0, 60, 400)
    folds = time_folds(times, rng.random(400))
    assert set(folds) == {TRAIN_ONLY, *range(N_FOLDS)}
    assert 0.45 < (folds == TRAIN_ONLY).mean() < 0.55
    for n in (N_FOLDS, 4):
        found = merged(folds, n)
        assert set(found) == {TRAIN_ONLY, *range(n)}
        for fold in range(n):
            assert times[found < fold].max() < times[found == fold].min()
    assert time_folds(np.arange(10), np.arange(10.0)) is None, "too few times"


def test_the_first_fold_in_time_and_the_rows_before_it_have_two_classes():
    times = np.arange(480)
    rare = times >= 300
    y = rare & (times % 3 == 0)
    folds = time_folds(times, y.astype(int))
    assert set(folds) == {TRAIN_ONLY, *range(N_FOLDS)}
    for rows in (folds == TRAIN_ONLY, folds == 0):
        assert len(set(y[rows])) == 2
    assert time_folds(times, (times > 400).astype(int)) is None, "only the last folds could be predicted"


@given(st.lists(st.integers(0, 40), min_size=60, max_size=200), st.sets(st.integers(0, 40), min_size=1, max_size=12))
@settings(max_examples=50, deadline=None)
def test_groups_of_one_class_are_not_scored_first(groups, positive):
    names, y = np.array(groups), np.isin(groups, list(positive)).astype(int)
    drawn = group_folds(names)
    folds = first_varied(drawn, y)
    if folds is not None:
        assert len(set(y[folds == 0])) == 2
        assert all(len(set(drawn[folds == fold])) == 1 for fold in range(N_FOLDS)), "only their numbers change"
        assert all(len(set(y[folds != fold])) == 2 for fold in range(N_FOLDS))


def test_folds_whose_target_varies_keep_their_order():
    y = np.arange(80) % 5
    folds = random_folds(y)
    assert first_varied(folds, y).tolist() == folds.tolist()
    pure = np.arange(80) % N_FOLDS
    assert first_varied(pure.astype(np.int8), (pure < 4).astype(int)) is None, "AUC would have no value"


def test_folds_in_order_of_time_are_merged_with_their_neighbours():
    assert merged(np.array([TRAIN_ONLY, *range(N_FOLDS)], np.int8), 4).tolist() == [TRAIN_ONLY, 0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("n", [8, 4, 1])
def test_merged_folds_keep_the_rows_that_are_never_predicted(n):
    folds = np.array([TRAIN_ONLY, *range(N_FOLDS)], np.int8)
    assert merged(folds, n).tolist()[0] == TRAIN_ONLY
    assert sorted(set(merged(folds, n)[1:])) == list(range(n))


@given(st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_folds_merged_from_two_with_a_second_class_leave_one_to_train_on(seed):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 40, 400)
    y = np.isin(groups, rng.choice(40, 2, replace=False)).astype(int)
    folds = group_folds(groups)
    drawn = None if folds is None else first_varied(folds, y)
    if drawn is not None:
        found = merged(drawn, 4)
        assert all(len(set(y[found != fold])) == 2 for fold in range(4))
