"""A command before and after a change, here the same thrice."""

import pandas as pd
import pytest

from automl.errors import UserError
from benchmarks.experiments.main_job import HERE, main


@pytest.mark.experiment
def test_all_run_in_turn_and_the_medians_are_printed(tmp_path, capsys):
    space, out = tmp_path / "space.yaml", tmp_path / "main_job.csv"
    space.write_text("x: {float: [0, 1]}")
    job = f"--command 'echo {{x}}{{seed}}' --space {space} --trials 2 --workers 1 --final-seeds 1 --strategy random"
    main(before=HERE, after=HERE, job=job, after_job=["", "--patience 9"], repeats=1, out=out)
    table = pd.read_csv(out)
    assert table["which"].tolist() == ["before", "after", "after"]
    assert (table["seconds"] > table["search"]).all()
    assert table["trainings"].tolist() == [2, 2, 2]
    assert table["test"].nunique() == 1
    assert capsys.readouterr().out.count("| after |") == 2


def test_a_folder_without_the_code_is_refused(tmp_path):
    with pytest.raises(UserError, match="is no checkout"):
        main(before=tmp_path, after=HERE, job="", after_job=[], repeats=1, out=tmp_path / "out.csv")
