"""Shell commands as objectives, in real processes; functions and generators are in test_tuner."""

import contextlib
import os
import re
import resource
import shlex
import sys
import time

import psutil
import pytest
from searches import Halving

import automl
from automl.errors import MAX_CHARACTERS, UserError
from automl.space.parse import load_space
from automl.task import TrainingFailed
from automl.tasks.shell_command import MAX_LINE_BYTES, CommandTask

SPACE = load_space(
    {
        "lr": {"float": [1e-4, 1.0], "log": True, "default": 0.01},
        "kind": {"choice": ["plain", "it's; echo 0 # $HOME"]},
        "momentum": {"float": [0, 1], "when": {"kind": "plain"}},
    }
)
CONFIG = {"lr": 0.25, "kind": "plain", "momentum": 0.5}


def train(command, config=CONFIG, folder=None, epochs=1, **options):
    task = CommandTask(command, SPACE, max_epochs=9, **options)
    return list(task.train(config, seed=7, epochs=epochs, checkpoint=folder, device="cpu"))


def test_numbers_or_json_lines_are_losses_and_the_rest_is_talk():
    assert [(e.epoch, e.loss) for e in train("echo starting {lr}; echo 0.5; echo done; echo 1e-3")] == [
        (1, 0.5), (2, 1e-3)
    ]  # fmt: skip
    line = """echo '{"loss": 0.25, "accuracy": 0.75, "note": "x"}'"""
    epochs = train(f"{line}; echo 41200 parameters; {line}; echo 41200 # {{lr}}")
    assert [(e.epoch, e.loss, e.metrics) for e in epochs] == [(n, 0.25, {"accuracy": 0.75}) for n in (1, 2)]


def test_values_are_quoted_for_the_shell():
    command = (
        "python3 -c 'import sys; print(len(sys.argv), sys.argv[1] == sys.argv[2]); print(0)' {kind} {kind}; echo {lr}"
    )
    odd = {"lr": 0.5, "kind": "it's; echo 0 # $HOME"}
    assert [e.loss for e in train(command, odd)] == [0.0, 0.5]


def test_placeholders(tmp_path):
    command = (
        "python3 -c 'import sys, json; c = json.loads(sys.argv[1]); print(c[\"lr\"])' {config};"
        "echo {seed}; echo {epochs}; test -z {momentum}x || echo 5; test {dir} = "
        f"{tmp_path} && echo 6; awk 'BEGIN {{ print 8 }}'"
    )
    assert [e.loss for e in train(command, folder=tmp_path, epochs=3)] == [0.25, 7, 3, 5, 6, 8]


def test_scores_of_a_command_are_maximised():
    result = automl.tune(
        CommandTask("""echo '{"value": {lr}, "note": "x"}'""", SPACE, maximize=True), n_trials=6, strategy="random"
    )
    assert result.best.value("value") == max(t.config["lr"] for t in result.trials)
    assert result.best_loss == -result.best.value("value")


def test_braces_of_the_shell_stay():
    command = "HOME=here; echo {lr} | awk '{ print $1 * 2 }'; printf '%s\\n' {{x}} '${HOME}'; echo 5"
    assert [e.loss for e in train(command)] == [0.5, 5.0]


def test_odd_names_are_placeholders_too():
    space = load_space({"a.b": {"float": [0, 1]}, "c-d": {"choice": ["x", "y"]}, "ü": {"int": [1, 9]}})
    task = CommandTask("test {c-d} = x && echo {a.b} && echo {ü}", space)
    config = {"a.b": 0.25, "c-d": "x", "ü": 3}
    epochs = task.train(config, seed=0, epochs=1, checkpoint=None, device="cpu")
    assert [e.loss for e in epochs] == [0.25, 3.0]


def test_a_hyperparameter_must_not_be_named_like_a_placeholder():
    with pytest.raises(UserError, match="'epochs' has the name of a placeholder"):
        CommandTask("train {epochs}", load_space({"epochs": {"int": [1, 9]}}))


def test_a_name_that_cannot_be_a_placeholder_is_not_left_in_the_command():
    space = load_space({"lr": {"float": [0, 1]}, "weight decay": {"float": [0, 1]}})
    with pytest.raises(
        UserError, match=r"\{weight decay\} cannot be a placeholder, as the name has blanks.*\{config\}"
    ):
        CommandTask("train --lr {lr} --decay {weight decay}", space)
    CommandTask("train --lr {lr} {{weight decay}}", load_space({"lr": {"float": [0, 1]}}))
    CommandTask("train {config}", space)


def test_output_in_another_encoding_does_no_harm():
    assert train("printf 'caf\\351\\n'; echo {lr}")[0].loss == 0.25


def test_an_inactive_hyperparameter_is_empty():
    assert train("test -z {momentum} && echo {lr}", {"lr": 1.0, "kind": "x"})[0].loss == 1.0


@pytest.mark.parametrize("option", ["--momentum {momentum}", "--momentum={momentum}"])
def test_the_option_of_an_inactive_hyperparameter_is_left_out(option):
    command = f"set -- --lr {{lr}} {option} --kind {{kind}} --{{{{momentum}}}} && echo $#"
    assert train(command, {"lr": 1.0, "kind": "x"})[0].loss == 5
    assert train(command, {"lr": 1.0, "kind": "y", "momentum": 0.5})[0].loss == 5 + 1 + (" " in option)


def test_a_python_traceback_is_told_by_its_exception():
    script = shlex.quote("def f():\n    raise RuntimeError('CUDA out of memory')\nf()")
    with pytest.raises(TrainingFailed, match=r"exit status 1: RuntimeError: CUDA out of memory$"):
        train(f"echo loading {{lr}} >/dev/null; {sys.executable} -c {script}")


def test_hyperparameters_without_a_placeholder_are_told():
    assert CommandTask("train {lr} {kind} {momentum}", SPACE).doubt is None
    assert CommandTask("train {config}", SPACE).doubt is None
    told = "the command does not use 'kind', 'momentum': insert {kind}, or shorten the space"
    assert CommandTask("train {lr}", SPACE).doubt == told


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("echo {lr} >&2; echo no such file; exit 3", "exit status 3: no such file|0.25"),
        ("echo loading {lr}", "printed no loss .*loading 0.25"),
        ("echo rate {lr}; echo 0.3 >&2", "printed no loss .*: rate 0.25; on standard error: 0.3$"),
        ("not-a-program {lr}", "exit status 127: .*not found"),
        ("echo 0.5 {lr}; kill -9 $$", "exit status -9"),
    ],
)
def test_a_failing_command_says_why(command, reason):
    with pytest.raises(TrainingFailed, match=reason.replace("|", ".*")):
        train(command)


@pytest.mark.parametrize(("maximize", "wanted", "printed"), [(False, "loss", "value"), (True, "value", "loss")])
def test_json_lines_of_the_other_direction_are_told_what_was_expected(maximize, wanted, printed):
    form = f'one number per line, or JSON lines such as {{"{wanted}": 0.5}}'
    hints = ("rename it to 'loss', or give --maximize", "rename the score to 'value', or leave --maximize out")
    reason = f"printed no {wanted} to standard output ({form}); {hints[maximize]}"
    with pytest.raises(TrainingFailed, match=re.escape(reason)):
        train(f"""echo '{{"{printed}": 1}}' # {{lr}}""", maximize=maximize)
    with pytest.raises(TrainingFailed, match=f"its {wanted} is '0.3', not a number"):
        train(f"""echo '{{"{wanted}": "0.3"}}' # {{lr}}""", maximize=maximize)


@pytest.mark.parametrize("printed", ["nan", "NaN", "inf", '{"loss": NaN}', "-inf"])
def test_a_loss_that_is_not_finite_is_a_failure(printed):
    with pytest.warns(UserWarning, match="at epoch 2"):
        result = automl.tune(CommandTask(f"echo {{lr}}; echo '{printed}'", SPACE), n_trials=1, strategy="random")
    assert result.trials[0].state == "failed"
    assert "at epoch 2" in result.trials[0].error


def test_unknown_placeholders_and_commands_without_any_are_refused():
    with pytest.raises(UserError, match=r"unknown placeholder \{lrr\} in the command; known: .*lr"):
        CommandTask("train {lrr}", SPACE)
    with pytest.raises(UserError, match=r"uses no hyperparameter; insert e\.g\. \{"):
        CommandTask("train {seed}", SPACE)


def test_a_command_is_resumable_when_it_is_told_where_and_how_far():
    assert CommandTask("train {lr} {dir} {epochs}", SPACE).resumable
    assert not CommandTask("train {lr} {epochs}", SPACE).resumable


def test_the_folder_of_a_trial_stays(tmp_path):
    result = automl.tune(
        CommandTask("echo {lr} > {dir}/lr; echo {lr}", SPACE), n_trials=8, strategy="random", study=tmp_path / "run"
    )
    written = {int(p.name): float((p / "lr").read_text()) for p in (tmp_path / "run" / "trials").iterdir()}
    assert written == {t.number: t.config["lr"] for t in result.trials}


def test_the_one_loss_of_a_step_stands_for_all_its_epochs():
    command = """touch {dir}/{lr}; echo '{"loss": {epochs}, "lines": 1}'"""
    result = automl.tune(CommandTask(command, SPACE, max_epochs=9), strategy=Halving, n_trials=3)
    continued = [trial for trial in result.trials if len(trial.proposals) == 2]
    assert continued
    assert all(trial.losses == [3.0, 3.0, 3.0, 9.0] for trial in continued)
    assert all(trial.metrics == {"lines": [1.0] * 4} for trial in continued)


def test_closing_the_training_kills_the_command_and_its_children(tmp_path):
    command = CommandTask(f"(sleep 1000 & echo $! > {tmp_path}/pid; echo {{lr}}; wait)", SPACE, max_epochs=3)
    training = command.train(CONFIG, seed=0, epochs=3, checkpoint=None, device="cpu")
    next(training)
    pid = int((tmp_path / "pid").read_text())
    assert psutil.pid_exists(pid)
    training.close()
    until = time.monotonic() + 60
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize("stream", [1, 2])
def test_a_line_of_50_mb_is_abridged(stream, tmp_path):
    """In its error, in the study, and in memory on the way there."""
    program = f"import os; [os.write({stream}, b'x' * 1_000_000) for _ in range(50)]; os.write({stream}, b'end'); 1 / 0"
    task = CommandTask(f'python3 -c "{program}" {{lr}}', SPACE)
    automl.tune(CommandTask("echo {lr}", SPACE), strategy="random", n_trials=1, study=tmp_path / "first")  # imports
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.warns(UserWarning, match="exit status 1"):
        (trial,) = automl.tune(task, strategy="random", n_trials=1, study=tmp_path / "run").trials
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000  # kB
    assert trial.error.startswith("the command failed with exit status 1")
    assert "ZeroDivisionError" in trial.error
    assert ("xend" in trial.error) == (stream == 2)
    assert len(trial.error) <= MAX_CHARACTERS + 100
    assert (tmp_path / "run" / "study.db").stat().st_size < 500_000


def printing(line):
    """A command that prints the value of a Python expression in one line, in whatever pieces."""
    pieces = f"b = ({line}); os.write(1, b[:9]); os.write(1, b[9:] + b'\\n')"
    return f"""python3 -c "import os; {pieces}" {{lr}}; echo '{{"loss": 1}}'"""


@pytest.mark.parametrize("excess", [1, 30, 2_000_000])
def test_json_in_a_line_of_more_than_1_mib_is_told_however_it_comes(excess):
    json_line = "b'{' + b'\\x22loss\\x22: 0.5, \\x22m\\x22: 1}'.rjust(%d)"
    assert [e.loss for e in train(printing(json_line % (MAX_LINE_BYTES - 1)))] == [0.5, 1.0]
    with pytest.raises(TrainingFailed, match=r"a line of output that begins with \{ is longer than 1 MiB"):
        train(printing(json_line % (MAX_LINE_BYTES - 1 + excess)))
    assert [e.loss for e in train(printing(f"b'2'.rjust({MAX_LINE_BYTES + excess})"))] == [1.0], "talk, as ever"


def test_an_exception_with_a_text_of_50_mb_is_abridged():
    def fails(config):
        raise ValueError("x" * 50_000_000 + "end")

    with pytest.warns(UserWarning, match="ValueError: xxx"):
        (trial,) = automl.tune(fails, SPACE, strategy="random", n_trials=1).trials
    assert trial.error.startswith("ValueError: xxx")
    assert trial.error.endswith("xend")
    assert len(trial.error) + len(trial.traceback) <= 2 * MAX_CHARACTERS + 200


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ('train --kind "{kind}"', "kind"),
        ("train --kind 'a {kind}'", "kind"),
        ('''echo it\\'s {lr}; echo "\\" {kind}"''', "kind"),
        ("echo \"$(echo '{kind}') {lr}\"", "kind"),
        ('train {lr} "{dir}"', "dir"),
        ("train '{config}'", "config"),
        ('echo {lr} "{momentum}"', "momentum"),  # empty where it is inactive
    ],
)
def test_a_placeholder_within_quotes_is_refused_unless_its_values_need_none(command, name):
    with pytest.raises(UserError, match=rf"the placeholder {{{name}}} stands within quotes .* --{name} {{{name}}} or"):
        CommandTask(command, SPACE)


def test_numbers_within_quotes_and_values_in_a_substitution_are_as_they_should_be():
    odd = {"lr": 0.5, "kind": "it's; echo 0 # $HOME"}
    command = """echo "{lr}"; test "$(printf %s {kind} | wc -c)" = 20 && echo '{"loss": {seed}}'"""
    assert [e.loss for e in train(command, odd)] == [0.5, 7.0]


SLEEP = f"sleep 1000{os.getpid()}"  # of this test alone


@pytest.mark.parametrize(
    "how",
    [SLEEP, f"setsid {SLEEP}", f"(setsid sh -c 'while :; do echo 9; sleep 0.2; done; {SLEEP}' &)"],
    ids=["child", "detached", "talking"],  # the same in every process of pytest-xdist
)
def test_a_child_in_the_background_does_not_hold_up_the_trial_and_ends_with_it(how):
    start = time.monotonic()
    losses = [e.loss for e in train(f"echo {{lr}}; {how} &")]
    assert losses[0] == 0.25
    assert time.monotonic() - start < 30
    assert not is_asleep()


def test_a_child_that_detached_ends_with_a_training_that_is_stopped():
    task = CommandTask(f"setsid {SLEEP} & echo {{lr}}; sleep 1000", SPACE, max_epochs=9)
    training = task.train(CONFIG, seed=0, epochs=9, checkpoint=None, device="cpu")
    assert next(training).loss == 0.25
    assert is_asleep()
    training.close()
    assert not is_asleep()


def is_asleep() -> bool:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and SLEEP in " ".join(process.cmdline()):
                return True
    return False
