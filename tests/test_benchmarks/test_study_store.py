"""A short measurement of the study's storage; the times are not checked."""

import pandas as pd

from benchmarks.experiments.study_store import PAGE, main


def test_both_storages_are_measured(tmp_path):
    page = tmp_path / "watch.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    main(trials=5, repeats=2, search=10, out=tmp_path / "store.csv", page=page)
    table = pd.read_csv(tmp_path / "store.csv")
    assert (
        table["what"].tolist()
        == ["write a trial"] * 2 + ["search of 10 trials", "resume of 10 trials"] + ["read 10 trials"] * 2
    )
    assert table["repeats"].tolist() == [2, 2, 1, 3, 1, 3]
    assert (table["time"] >= 0).all()
    lines = (tmp_path / "store.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 4 + 2 + len(table)
    assert "\n".join(lines[2:]) in page.read_text(encoding="utf-8")
