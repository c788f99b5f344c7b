"""The families for tables, all by the same contract."""

import numpy as np
import pytest
from sklearn.preprocessing import TargetEncoder

from automl.data.inputs import Columns, channel_statistics
from automl.data.targets import Classes, Number, Quantiles
from automl.metrics import measure
from automl.models import NETWORKS
from automl.models.learners import LEARNERS, forests, learner_class, long_tail
from automl.models.learners.base import Rows, mean_rounds
from automl.models.learners.early_stopping import USEFUL_ROUNDS
from automl.models.learners.fit_watch import FitWatch
from automl.models.learners.levels import MAX_NATIVE_LEVELS, N_FOLDS, ManyLevels
from automl.models.learners.long_tail import Logarithm
from automl.models.trained import Preprocessing, TrainedLearner
from automl.task import TooSlow, TrainingFailed
from automl.tasks.families import FAMILIES as BY_KIND

FAMILIES = BY_KIND["table"]
CLASSES = Classes(("a", "b", "c"))


def rows(n, seed=0, kind="classes"):
    """Three numbers, one of them often missing, a category, and one with many levels that decide the target."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(n, 3))
    levels = rng.integers(1, 80, n)
    signal = numbers[:, 0] + 0.7 * np.sin(levels)
    numbers[rng.random(n) < 0.2, 1] = np.nan
    x = np.column_stack([numbers, rng.integers(0, 4, n), levels]).astype(np.float32)
    y = signal.astype(np.float32) if kind == "number" else np.digitize(signal, [-0.5, 0.5]).astype(np.int64)
    return Rows(x, y)


QUICK = {"catboost": {"learning_rate": 0.1, "depth": 4, "combined": 1}}  # in place of the defaults


def learner_for(family, train, target, seed=0):
    inputs = Columns.of(train.x, (4, 80))
    space = learner_class(family).space(classes=isinstance(target, Classes), with_levels=True)
    config = {name: entry["default"] for name, entry in space.items()} | QUICK.get(family, {})
    return learner_class(family)(config, inputs, target, seed)


def target_of(train, kind):
    return Number.of(train.y) if kind == "number" else CLASSES


def test_every_family_that_is_tried_is_registered():
    assert set().union(*BY_KIND.values()) <= {*LEARNERS, *NETWORKS}


@pytest.mark.parametrize("kind", ["classes", "number"])
@pytest.mark.parametrize("family", ["random_forest", "extra_trees"])
def test_a_forest_has_the_trees_that_its_time_limit_allows(family, kind):
    train = rows(300, 0, kind)
    cut, whole, few = (learner_for(family, train, target_of(train, kind)) for _ in range(3))
    cut.max_seconds, whole.max_seconds = 1e-3, 100.0
    cut.fit(train)
    whole.fit(train)
    few.fit(train, rounds=cut.rounds)
    assert cut.rounds == (forests.MIN_TREES + 1,)
    assert whole.rounds == (forests.N_TREES,)
    assert (cut.predict(train.x) == few.predict(train.x)).all(), "the trees of a fit with as many from the start"
    assert np.isfinite(cut.out_of_bag()).all()


@pytest.mark.parametrize("kind", ["classes", "number"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_learns_and_is_the_same_after_it_was_saved(family, kind, tmp_path):
    train, valid = rows(500, 0, kind), rows(200, 1, kind)
    target = target_of(train, kind)
    learner, again = (learner_for(family, train, target) for _ in range(2))
    learner.fit(train, valid)
    again.fit(train, valid)
    predicted = learner.predict(valid.x)
    assert (predicted == again.predict(valid.x)).all(), "the same seed gives the same model"
    assert np.isfinite(predicted).all()
    if kind == "classes":
        assert predicted.sum(1) == pytest.approx(1.0)
        constant = np.tile(np.bincount(train.y, minlength=3) / len(train.y), (len(valid.y), 1))
        assert measure("log_loss", valid.y, predicted) < 0.85 * measure("log_loss", valid.y, constant)
    else:
        assert measure("rmse", valid.y, predicted) < 0.85 * valid.y.std()
    learner.save(tmp_path)
    loaded = type(learner).load(tmp_path, learner.config, learner.inputs, target)
    assert (loaded.predict(valid.x) == predicted).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_takes_what_training_did_not_have(family):
    train = rows(120)
    train = Rows(train.x[train.y != 2], train.y[train.y != 2])  # a class without rows
    learner = learner_for(family, train, CLASSES)
    learner.fit(train, rows(40, 1))
    strange = np.array([[np.nan, np.nan, np.nan, 0, 0], [9e9, -9e9, 0, 3, 79]], np.float32)
    predicted = learner.predict(strange)
    assert np.isfinite(predicted).all()
    assert predicted.sum(1) == pytest.approx(1.0)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_refit_has_the_rounds_that_it_is_given(family):
    train, valid = rows(300), rows(100, 1)
    stopped = learner_for(family, train, CLASSES)
    stopped.fit(train, valid)
    refitted = learner_for(family, train, CLASSES)
    refitted.fit(train, rounds=stopped.rounds)
    assert refitted.rounds == stopped.rounds
    assert np.isfinite(refitted.predict(valid.x)).all()


@pytest.mark.parametrize("kind", ["classes", "number"])
@pytest.mark.parametrize("family", ["lightgbm", "catboost", "realmlp"])
def test_a_fit_that_cannot_end_in_its_seconds_gives_up_early(family, kind, monkeypatch):
    monkeypatch.setattr("automl.models.learners.fit_watch.MIN_SECONDS", 0.0)  # the whole fit takes less
    train, valid = rows(300, 0, kind), rows(100, 1, kind)
    learner = learner_for(family, train, target_of(train, kind))
    learner.max_seconds = 0.01
    with pytest.raises(
        TooSlow, match=r"^too slow: \d+ (rounds|epochs) would take .* s, longer than the 0(\.01)? s left for this fit$"
    ):
        learner.fit(train, valid)


def test_each_quantile_is_refitted_with_its_own_rounds():
    train, valid = rows(400, 0, "number"), rows(200, 1, "number")
    target = Quantiles.of(train.y, (0.05, 0.5))
    stopped, refitted = (learner_for("lightgbm", train, target) for _ in range(2))
    stopped.fit(train, valid)
    refitted.fit(train, rounds=stopped.rounds)
    assert stopped.rounds[0] != stopped.rounds[1]
    assert refitted.rounds == stopped.rounds
    assert (refitted.predict(valid.x) == stopped.predict(valid.x)).all()
    assert mean_rounds([(10, 100), (21, 300)], target) == (14, 173)  # geometric, as a few folds may stop very late
    assert mean_rounds([(10,), (21,)], Number.of(train.y)) == (16,)
    assert mean_rounds([(), ()], target) == mean_rounds([], target) == ()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_value_that_is_missing_only_in_new_rows_counts_as_the_mean(family):
    train, new = rows(300, 0, "number"), rows(50, 1, "number").x
    learner = learner_for(family, train, target_of(train, "number"))
    learner.fit(train, rounds=(20, 20))
    rules = Preprocessing("shops", family, learner.inputs, learner.target)
    assert rules.inputs.complete == (True, False, True), "the second number is often missing"
    model = TrainedLearner(learner, learner.config, rules)
    gap, mean = new.copy(), new.copy()
    gap[:, 0], mean[:, 0] = np.nan, learner.inputs.mean[0]
    assert (model.predict(gap) == model.predict(mean)).all()
    assert (model.predict(new) == learner.predict(new)).all(), "gaps of other columns stay"


def test_families_of_many_rounds_leave_time_for_others():
    assert {name for name in LEARNERS if learner_class(name).share_of_seconds is not None} == {
        "lightgbm", "catboost", "lsa_lightgbm", "realmlp", "random_forest", "extra_trees",
    }  # fmt: skip
    assert all((learner_class(name).share_of_seconds or 0) < 1 for name in LEARNERS)


@pytest.mark.parametrize("kind", ["classes", "number"])
@pytest.mark.parametrize("family", ["lightgbm", "catboost"])
def test_boosting_whose_time_is_up_keeps_its_best_round(family, kind, monkeypatch):
    train, valid = rows(300, 0, kind), rows(100, 1, kind)
    cut, short = (learner_for(family, train, target_of(train, kind)) for _ in range(2))
    with monkeypatch.context() as patched:
        patched.setattr(FitWatch, "is_over", True)
        cut.fit(train, valid)
    monkeypatch.setattr(f"automl.models.learners.{family}.MAX_ROUNDS", USEFUL_ROUNDS)
    short.fit(train, valid)
    assert cut.rounds == short.rounds
    assert 0 < cut.rounds[0] <= USEFUL_ROUNDS
    assert (cut.predict(valid.x) == short.predict(valid.x)).all()


@pytest.mark.parametrize(("family", "name", "plain", "logarithmic"), [
    ("lightgbm", "loss", "squared", "tweedie"),
    ("catboost", "loss", "squared", "tweedie"),
    ("linear", "target", "raw", "log"),
])  # fmt: skip
def test_learning_the_logarithm_suits_a_long_tail_in_any_unit(family, name, plain, logarithmic, tmp_path):
    train, valid = rows(600, 0, "number"), rows(300, 1, "number")
    tail, rest = np.exp(1.5 * train.y), np.exp(1.5 * valid.y)
    known, new = Rows(train.x[:450], tail[:450]), Rows(train.x[450:], tail[450:])

    def predicted(value, unit=1.0):
        inputs, target = Columns.of(train.x, (4, 80)), Number.of(unit * tail)
        config = {
            each: entry["default"]
            for each, entry in learner_class(family).space(classes=False, with_levels=True).items()
        }
        learner = learner_class(family)(config | QUICK.get(family, {}) | {name: value}, inputs, target, 0)
        learner.fit(Rows(known.x, unit * known.y), Rows(new.x, unit * new.y))
        folder = tmp_path / f"{value}-{unit:g}"
        folder.mkdir()
        learner.save(folder)
        found = learner.predict(valid.x)
        assert (type(learner).load(folder, learner.config, inputs, target).predict(valid.x) == found).all()
        return found

    def error(found):
        return measure("rmse", np.log(rest), np.log(np.maximum(found, 1e-2)))

    found = predicted(logarithmic)
    assert (found > 0).all()
    assert error(found) < 0.8 * error(predicted(plain))
    assert predicted(logarithmic, 1e6) == pytest.approx(1e6 * found, rel=0.05)


def test_the_inverse_of_the_logarithm_predicts_means():
    """Of a log-normal number, whose mean is exp(variance / 2) above the exponential of the mean logarithm."""
    y = np.random.default_rng(0).lognormal(2.0, 0.8, 20_000)
    logarithm = Logarithm.of(y)
    logs = logarithm(y)
    assert logarithm.inverse(logs) == pytest.approx(y)
    corrected = logarithm.corrected(logs - 2.0, None)
    assert corrected.inverse(np.array([2.0])) == pytest.approx(np.exp(2.0 + 0.8**2 / 2), rel=0.02)
    assert corrected.inverse(np.array([1e9])) == pytest.approx(y.max() * corrected.factor)


def test_the_logarithm_of_zeros_is_finite_and_inverted():
    y = np.array([0.0, 0.0, 1.0, 10.0, 100.0])
    logarithm = Logarithm.of(y)
    assert np.isfinite(logarithm(y)).all()
    assert logarithm.inverse(logarithm(y)) == pytest.approx(y, abs=1e-9)
    assert logarithm(np.array([-3.0])) == logarithm(np.array([0.0]))


def test_the_least_loss_is_that_of_perfect_predictions():
    from catboost.utils import eval_metric

    rng = np.random.default_rng(0)
    y, weights = rng.lognormal(size=200), rng.random(200)
    (loss,) = eval_metric(y, np.log(y), f"Tweedie:variance_power={long_tail.VARIANCE_POWER}", weight=weights)
    assert long_tail.least_loss(y, weights) == pytest.approx(loss)


LOGARITHMIC = [("lightgbm", {"loss": "tweedie"}), ("catboost", {"loss": "tweedie"}), ("linear", {"target": "log"})]


@pytest.mark.parametrize(("family", "more"), LOGARITHMIC)
def test_no_logarithm_is_learnt_from_zeros(family, more):
    train = rows(100, 0, "number")
    learner = learner_for(family, train, Number.of(train.y))
    learner.config = {**learner.config, **more}
    with pytest.raises(TrainingFailed, match=r" needs a number above 0, and all are 0$"):
        learner.fit(Rows(train.x, np.zeros(100)), rounds=(5,))


@pytest.mark.parametrize(("family", "more"), LOGARITHMIC)
def test_negative_labels_of_new_rows_count_as_0(family, more):
    train = rows(300, 0, "number")
    y = np.where(np.arange(300) == 7, -5.0, np.exp(train.y)).astype(np.float32)
    as_0 = np.maximum(y, 0)
    found = []
    for labels in (y, as_0):
        learner = learner_for(family, Rows(train.x, as_0), Number.of(as_0))
        learner.config = {**learner.config, **more}
        learner.fit(Rows(train.x, labels), rounds=(20,))
        found.append(learner.predict(train.x))
    assert (found[0] >= 0).all()
    assert np.median(np.abs(found[0] / found[1] - 1)) < 0.05  # not 0, since LightGBM's means of levels see the -5


@pytest.mark.parametrize("kind", ["classes", "number"])
@pytest.mark.parametrize("family", FAMILIES)
def test_rows_count_as_much_as_they_weigh(family, kind):
    """Half of the rows have the labels of others, and nearly no weight."""
    train, valid = rows(800, 0, kind), rows(300, 1, kind)
    wrong = np.arange(800) % 2 == 0
    y = np.where(wrong, np.roll(train.y, 7), train.y)
    weights = np.where(wrong, 1e-3, 1.0).astype(np.float32)
    target, metric = target_of(train, kind), "rmse" if kind == "number" else "log_loss"
    errors = []
    for counts in (None, weights):
        learner = learner_for(family, train, target)
        fitted, stopping = (
            Rows(train.x[part], y[part], None if counts is None else counts[part])
            for part in (slice(600), slice(600, None))
        )
        learner.fit(fitted, stopping)
        errors.append(measure(metric, valid.y, learner.predict(valid.x)))
    assert errors[1] < errors[0]


@pytest.mark.parametrize("family", [family for family in FAMILIES if learner_class(family).has_out_of_bag])
@pytest.mark.parametrize("kind", ["classes", "number"])
def test_out_of_bag_predictions_are_as_good_as_those_for_new_rows(family, kind):
    train, new = rows(600, 0, kind), rows(600, 1, kind)
    learner = learner_for(family, train, target_of(train, kind))
    learner.fit(train)
    metric = "rmse" if kind == "number" else "log_loss"
    own, fresh = measure(metric, train.y, learner.out_of_bag()), measure(metric, new.y, learner.predict(new.x))
    assert own == pytest.approx(fresh, rel=0.15)
    assert own > 1.3 * measure(metric, train.y, learner.predict(train.x)), "the training rows themselves look easier"


def test_a_level_is_encoded_by_the_targets_of_other_rows():
    """A column in which every row has a level of its own says nothing, and must not reveal the row's target."""
    n = 2 * MAX_NATIVE_LEVELS
    rng = np.random.default_rng(0)
    x, y = np.arange(1, n + 1, dtype=np.float32)[:, None], rng.normal(size=n).astype(np.float32)
    inputs, target = Columns.of(x, (n + 1,)), Number.of(y)
    levels = ManyLevels.of(inputs)
    assert levels.columns == (0,)
    encoded = levels.fit_transform(Rows(x, y), inputs, target, 0)
    assert abs(np.corrcoef(encoded[:, 0], y)[0, 1]) < 0.5
    assert levels.transform(np.zeros((1, 1), np.float32))[0] == pytest.approx([y.mean(), 0.0], abs=1e-6)
    few = Columns.of(np.ones((5, 1), np.float32), (3,))
    assert ManyLevels.of(few).columns == ()


@pytest.mark.parametrize("target_type", ["continuous", "binary", "multiclass"])
def test_rows_of_equal_weight_encode_levels_as_scikit_learn_does(target_type):
    rng = np.random.default_rng(1)
    x = rng.integers(1, 2 * MAX_NATIVE_LEVELS, 1_000).astype(np.float32)[:, None]
    y = (x[:, 0] % 7 + rng.normal(size=1_000)).astype(np.float32)
    target: Number | Classes = Number.of(y)
    if target_type != "continuous":
        y = np.digitize(y, [3.0] if target_type == "binary" else [2.0, 4.0])
        target = Classes(tuple("abc"[: 1 + y.max()]))
    inputs = Columns.of(x, (2 * MAX_NATIVE_LEVELS,))
    for weights in (None, np.full(1_000, 3.0, np.float32)):
        levels = ManyLevels.of(inputs)
        levels.fit_transform(Rows(x, y, weights), inputs, target, 0)
        known = np.unique(x)
        wanted = TargetEncoder(target_type=target_type).fit(x, y).transform(known[:, None])
        assert levels.tables[0][known.astype(int), :-1] == pytest.approx(wanted, rel=1e-5)


def test_rows_of_little_weight_do_not_change_the_encoding_of_a_level():
    rng = np.random.default_rng(2)
    x = np.tile(np.arange(1, 61, dtype=np.float32), 20)[:, None]
    y = (x[:, 0] + rng.normal(size=len(x))).astype(np.float32)
    inputs = Columns.of(x, (61,))
    alone, both = ManyLevels.of(inputs), ManyLevels.of(inputs)
    alone.fit_transform(Rows(x, y), inputs, Number.of(y), 0)
    weights = np.repeat([1.0, 1e-6], len(x)).astype(np.float32)
    both.fit_transform(Rows(np.tile(x, (2, 1)), np.concatenate([y, -y]), weights), inputs, Number.of(y), 0)
    assert both.tables[0][1:, 0] == pytest.approx(alone.tables[0][1:, 0], abs=0.1)


def test_catboost_says_that_a_table_without_variation_cannot_be_learnt():
    x, y = np.ones((40, 2), np.float32), np.arange(40) % 2
    inputs = Columns.of(x, ())
    learner = learner_class("catboost")(QUICK["catboost"], inputs, Classes(("a", "b")), 0)
    with pytest.raises(TrainingFailed, match="every column has a single value in the training rows"):
        learner.fit(Rows(x, y), Rows(x, y))


@pytest.mark.parametrize("n_classes", [2, 3, 4])
def test_a_class_of_one_row_reveals_the_target_of_no_row(n_classes):
    n = 2 * MAX_NATIVE_LEVELS
    x, y = np.arange(1, n + 1, dtype=np.float32)[:, None], np.arange(n) % (n_classes - 1)
    y[0] = n_classes - 1
    inputs, target = Columns.of(x, (n + 1,)), Classes(tuple("abcd"[:n_classes]))
    levels = ManyLevels.of(inputs)
    encoded = levels.fit_transform(Rows(x, y), inputs, target, 0)
    own = levels.tables[0][x[:, 0].astype(int), :-1]
    assert encoded.shape == (n, 1 + own.shape[1])
    assert encoded[0, -2] == 0, "the other rows have no such class"
    assert len(np.unique(encoded[:, :-1], axis=0)) <= N_FOLDS, "the level of a row has no other row"


@pytest.mark.parametrize("family", [family for family in FAMILIES if learner_class(family).takes_quantiles])
def test_quantiles_lie_above_their_share_of_new_rows(family, tmp_path):
    train, new = rows(800, 0, "number"), rows(800, 1, "number")
    target = Quantiles.of(train.y, (0.1, 0.5, 0.9))
    learner = learner_for(family, train, target)
    learner.fit(Rows(train.x[:600], train.y[:600]), Rows(train.x[600:], train.y[600:]))
    predicted = learner.predict(new.x)
    assert predicted.shape == (800, 3)
    assert (np.diff(predicted, axis=1) >= 0).all()
    assert (new.y[:, None] <= predicted).mean(0) == pytest.approx(target.levels, abs=0.1)
    constant = np.tile(np.quantile(train.y, target.levels), (800, 1))
    ours, theirs = (measure("pinball", new.y, each, levels=target.levels) for each in (predicted, constant))
    assert ours < 0.9 * theirs
    learner.save(tmp_path)
    loaded = type(learner).load(tmp_path, learner.config, learner.inputs, target)
    assert (loaded.predict(new.x) == predicted).all()


@pytest.mark.parametrize("family", ["lightgbm", "catboost"])
def test_one_quantile_is_a_column(family):
    train = rows(300, 0, "number")
    learner = learner_for(family, train, Quantiles.of(train.y, (0.9,)))
    learner.fit(train, rounds=(20,))
    assert learner.predict(train.x).shape == (300, 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_unit_of_the_target_changes_nothing_but_the_unit(family):
    train, new = rows(400, 0, "number"), rows(100, 1, "number")
    takes_quantiles = learner_class(family).takes_quantiles
    for make in (Number.of, lambda y: Quantiles.of(y, (0.1, 0.5)))[: 1 + takes_quantiles]:
        found = []
        for unit in (1.0, 2.0**-40):
            y = (train.y * unit).astype(np.float32)
            learner = learner_for(family, Rows(train.x, y), make(y))
            learner.fit(Rows(train.x, y), rounds=(50, 50))
            found.append(learner.predict(new.x) / unit)
        assert np.abs(found[1] - found[0]).mean() < 0.02


def test_the_unit_of_an_input_does_not_make_it_constant():
    _, (tiny, nothing) = channel_statistics(np.array([[1e-13, 3.0], [3e-13, 3.0]], np.float32))
    assert tiny == pytest.approx(1e-13, rel=1e-3)
    assert nothing == 1.0
