"""Commands in documentation pages are run, and the output that the pages show is replaced."""

import numpy as np
import pytest

from automl.errors import UserError
from benchmarks.experiments.transcripts import aligned, main, outdated, refreshed

PAGE = """# A page

<!-- setup: printf 'a\\nb\\n' > letters.txt -->

```sh
exit 3
```

It prints 2 letters and takes 1.5 s.

```
$ cat letters.txt
z
$ python search.py      # a comment
trial 0  loss 0.9
...
trial 9  loss 0.1
10 trials
```

Then the result, 0.25:

```
...
score 0.25 on test
model  model.pt
```

```python
print(6 * 7)
```

```
41
```
"""


def search(n_trials):
    trials = [f"trial {i}  loss {1 / (i + 1):.3f}" for i in range(n_trials)]
    return [*trials, f"{n_trials} trials", "┏━━┓", "┗━━┛", "note: short", "score 0.75 on test", "model  model.pt"]


def answers(step):
    return {"cat letters.txt": ["a", "b"], "python search.py": search(5), "print(6 * 7)": ["42"]}.get(step.command, [])


def test_each_part_of_the_output_is_replaced_by_its_counterpart():
    page = refreshed(PAGE, answers)
    assert "$ cat letters.txt\na\nb\n$ python search.py      # a comment\n" in page
    assert "trial 0  loss 1.000\n...\ntrial 4  loss 0.200\n5 trials\n```" in page
    assert "```\n...\nscore 0.75 on test\nmodel  model.pt\n```" in page
    assert "```\n42\n```" in page
    assert refreshed(page, answers) == page


def test_hidden_commands_run_and_shell_blocks_do_not():
    commands = []
    refreshed(PAGE, lambda step: commands.append(step.command) or answers(step))
    assert commands == ["printf 'a\\nb\\n' > letters.txt", "cat letters.txt", "python search.py", "print(6 * 7)"]


def test_a_longer_table_is_shown_whole():
    page = "```\n$ show\nname  score\na     0.5\nbest  a\n```\n"
    new = ["name  score", "a     0.6", "b     0.4", "c     0.1", "best  a"]
    assert refreshed(page, lambda step: new) == "```\n$ show\n" + "\n".join(new) + "\n```\n"


def test_output_without_a_counterpart_is_an_error():
    with pytest.raises(UserError, match=r"no longer prints lines like 'score 0\.25 on test'"):
        refreshed(PAGE, lambda step: search(5)[:6] if "search" in step.command else answers(step))


def test_sentences_with_numbers_of_the_old_output_are_listed():
    assert outdated(PAGE, refreshed(PAGE, answers)) == ["Then the result, 0.25:"]


def test_lines_are_matched_in_order_whatever_their_numbers():
    is_free = np.array([False, True, False])
    assert aligned(["a 1", "total 7"], ["a 5", "a 6", "total 11"], is_free) == [0, 2]
    assert aligned(["x", "y"], [], is_free) == [None, None]


def test_the_command_runs_real_commands_in_a_folder_of_its_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- setup: echo 3 > data.txt -->\n\nA sum of 8.\n\n```\n$ cat data.txt; ls\n8\nold.txt\n```\n\n"
        "```python\nfrom pathlib import Path\nprint(Path('data.txt').read_text())\n```\n\n```\n8\n```\n"
    )
    main([page])
    assert "```\n$ cat data.txt; ls\n3\ndata.txt\n```" in page.read_text()
    assert "```\n3\n```\n" in page.read_text()
    assert "check: A sum of 8." in capsys.readouterr().out
    assert not (tmp_path / "data.txt").exists()
