"""Built-in tasks by the default plan."""

import numpy as np
import pytest
from processes import command
from stand_ins import all_put

from automl.data.datasets.registry import load_data
from automl.data.ingest.prepare import Facts, prepare
from automl.data.memory_map import read_prepared
from automl.errors import UserError
from automl.tasks.as_own_data import as_own_data
from automl.tasks.registry import load_task

KINDS = {
    "newsgroups-rnn": "text",
    "chembl234-mlp": "molecules",
    "sp500-rnn": "series",
    "mnist1d-cnn": "sequences",
    "letter-mlp": "table",
}


@pytest.fixture(scope="module", autouse=True)
def small_data(tmp_path_factory):
    with all_put(tmp_path_factory.mktemp("data")):
        yield


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_the_test_set_and_the_metric_are_those_of_the_task(name, kind, tmp_path):
    task = load_task(name)
    with as_own_data(name) as (request, metric):
        prepare(request, tmp_path / "data")
    facts = Facts.read(tmp_path / "data")
    assert facts.kind == kind
    assert facts.metric(metric) == task.metric
    own = read_prepared(tmp_path / "data" / facts.views.usual)
    given = load_data(task.data, None)
    assert len(own.y_test) == len(given.y_test)
    if not given.n_classes:
        assert np.sort(own.y_test) == pytest.approx(np.sort(given.y_test), rel=1e-5)
    else:
        assert sorted(own.classes[i] for i in own.y_test) == sorted(given.classes[i] for i in given.y_test)


def test_a_task_that_generates_text_has_no_such_run():
    with (
        pytest.raises(UserError, match="--model is for tasks that predict classes or numbers, 'g2p-rnn' generates"),
        as_own_data("g2p-rnn"),
    ):
        pass


def test_a_metric_that_does_not_fit_the_task_is_refused_before_its_data_are_read():
    with (
        pytest.raises(UserError, match=r"^'rmse' is not a metric for classification; choose one of: accuracy"),
        as_own_data("letter-mlp", "rmse"),
    ):
        pass


def test_pictures_of_a_task_from_the_command_line(tmp_path):
    command("run", "--task", "digits-cnn", "--model", "linear", "--time-limit", 12, "--out", tmp_path / "run")
    _, error = command("run", "--task", "digits-cnn", "--model", "tfidf", "--out", tmp_path / "other", code=2)
    assert "--model 'tfidf' does not suit images" in error
