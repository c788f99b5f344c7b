"""A short measurement of padding; which way is faster is not checked."""

import pandas as pd

from benchmarks.experiments.lane_search import task_of
from benchmarks.experiments.padding import PADDINGS, Timer, at_random, main


def test_a_short_measurement_writes_a_row_for_each_population_and_padding(tmp_path):
    out = tmp_path / "padding.csv"
    main(tasks="mnist1d-mlp", configs=9, packs=1, train_size=100, out=out, page=None)
    table = pd.read_csv(out)
    assert len(table) == 3 * len(PADDINGS)
    assert (table["seconds"] > 0).all()
    assert table.loc[table["population"] == "packs of one shape", "trainings"].tolist() == [8] * len(PADDINGS)


def test_padded_configurations_share_programs_and_those_with_group_normalisation_keep_their_width():
    task = task_of("mnist1d-cnn", 100)
    timer, configs = Timer(task), at_random(task, 60)
    sizes = {how: {timer.padded(c, how)["width"] for c in configs if c["norm"] != "group"} for how in PADDINGS}
    assert sizes == {"none": {8, 12, 16, 24, 32}, "a power of two": {8, 16, 32}, "the largest": {32}}
    assert {timer.padded(c, "a power of two")["kernel_size"] for c in configs} == {3, 7}
    assert {timer.padded(c, "the largest")["width"] for c in configs if c["norm"] == "group"} == {8, 12, 16, 24, 32}
    counts = [len(timer.programs(configs, how)) for how in PADDINGS]
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] < counts[0]
