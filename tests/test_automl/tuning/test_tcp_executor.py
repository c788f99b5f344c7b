"""Workers that connect over TCP: who is let in, who is lost, and what both sides say when something is wrong."""

import datetime
import json
import socket
import subprocess
import sys
import threading
from contextlib import suppress

import psutil
import pytest
from tcp_workers import TOKEN, curve, executor_of, heard, job, line_to, until

from automl.errors import UserError
from automl.runs.machines import Machines, check_tls
from automl.tuning.jobs import EpochDone, JobEnded
from automl.tuning.tcp_protocol import (
    AUTOML,
    MAX_EVENT_BYTES,
    MAX_UNAUTHENTICATED_BYTES,
    VERSION,
    line_of,
    proof,
    read_token,
    run_side,
)
from automl.tuning.tcp_worker import Disconnected


def test_workers_train_what_the_run_sends_and_end_with_it(worker):
    with executor_of(curve) as executor:
        first = worker(executor.port, "--workers", "2")
        until(lambda: executor.n_workers == 2, executor)
        for key in range(2):
            executor.submit(job(key, seed=key))
        events = until(lambda: executor.n_free == 2, executor)
    losses = {key: [e.epoch.loss for e in events if isinstance(e, EpochDone) and e.key == key] for key in range(2)}
    assert losses == {0: [0.5] * 3, 1: [1.5] * 3}
    assert [e.error for e in events if isinstance(e, JobEnded)] == [None, None]
    out, err = first.communicate(timeout=120)
    assert (first.returncode, err) == (0, "")
    assert out.count("the run has ended") == 2
    assert not [
        pid for e in events if isinstance(e, EpochDone) and psutil.pid_exists(pid := int(e.epoch.metrics["pid"]))
    ]


def test_a_worker_that_is_not_ready_gets_no_job_and_ends_with_the_run():
    with executor_of(curve) as executor, line_to(executor) as line:
        line.send({"alive": True})
        executor.wait(0.2)
        assert (executor.n_workers, executor.n_free) == (0, 0)
        executor.close()
        assert heard(line, "end") is True


def test_an_epoch_with_many_metrics_arrives_and_one_with_too_many_fails_once(worker):
    def many(config, seed):
        yield {"loss": config["x"], "m" * seed: 1.0}

    with executor_of(many) as executor:
        worker(executor.port)
        until(lambda: executor.n_free == 1, executor)
        ends = []
        for key, n_bytes in enumerate(
            (MAX_UNAUTHENTICATED_BYTES - 50, 5 * MAX_UNAUTHENTICATED_BYTES, MAX_EVENT_BYTES, 7)
        ):
            executor.submit(job(key, seed=n_bytes, epochs=1))
            events = until(lambda: executor.n_free == 1, executor)
            assert [len(name) for e in events[:-1] for name in e.epoch.metrics] == [n_bytes] * (key != 2)
            ends.append((events[-1].key, events[-1].lost, events[-1].error))
    too_many = "an epoch with its metrics takes more than 16,777,216 bytes to report; give fewer metrics"
    assert ends == [(0, False, None), (1, False, None), (2, False, too_many), (3, False, None)]


def test_a_worker_that_sends_a_line_without_end_loses_its_job():
    with executor_of(curve) as executor, line_to(executor) as line:
        line.send({"ready": True})
        until(lambda: executor.n_free == 1, executor)
        executor.submit(job(3))
        with suppress(Disconnected):
            line.send({"ready": "x" * MAX_EVENT_BYTES})
        [ended] = until(lambda: executor.n_workers == 0, executor)
    assert (ended.key, ended.lost) == (3, True)
    assert ended.error.endswith("is gone: it sends a line without end")


def test_a_lane_is_stopped_by_its_own_key_and_a_training_by_that_of_its_attempt():
    with executor_of(curve) as executor, line_to(executor) as line:
        line.send({"ready": True})
        until(lambda: executor.n_free == 1, executor)
        executor.submit(job(3, lanes=(job(3), job(5))))
        assert [lane["key"] for lane in heard(line, "job")["lanes"]] == [3, 5]
        executor.stop(5)
        assert heard(line, "stop") == 5
        executor.cancel()
        assert heard(line, "cancel") is True
        executor.submit(job(5))
        attempt = heard(line, "job")["key"]
        executor.stop(5)
        assert heard(line, "stop") == attempt != 5


def test_a_worker_that_says_what_nobody_understands_loses_its_job():
    with executor_of(curve) as executor, line_to(executor) as line:
        line.send({"ready": True})
        until(lambda: executor.n_free == 1, executor)
        executor.submit(job(3))
        assert heard(line, "job")["config"] == {"x": 0.5}
        line.send({"event": "EpochDone", "epoch": "the first", "key": 0})
        [ended] = until(lambda: executor.n_workers == 0, executor)
    assert (ended.key, ended.lost) == (3, True)


def test_a_killed_worker_loses_its_job_and_one_that_is_cut_off_connects_again(worker):
    def slow(config):
        import time

        while True:
            yield 1.0
            time.sleep(0.1)

    with executor_of(slow, max_epochs=10_000) as executor:
        process = worker(executor.port)
        until(lambda: executor.n_free == 1, executor)
        executor.submit(job(7, epochs=10_000))
        until(lambda: executor.wait(0.5))
        executor._workers[0].loop.call_soon_threadsafe(executor._workers[0].writer.transport.abort)
        ended = until(lambda: executor.n_workers == 0, executor)
        assert [(e.key, e.lost) for e in ended if isinstance(e, JobEnded)] == [(7, True)]
        until(lambda: executor.n_free == 1, executor)  # it is back,
        executor.submit(job(7, epochs=10_000))  # and gets the same job without an event of the attempt before
        events = []
        until(lambda: events or events.extend(executor.wait(0.5)))
        assert (events[0].key, events[0].epoch.epoch) == (7, 1)
        process.kill()
        ended = until(lambda: executor.n_workers == 0, executor)
        assert [(e.key, e.lost) for e in ended if isinstance(e, JobEnded)] == [(7, True)]


def talk(port, line):
    """What a run answers to a line, until it ends the connection; ``line`` may depend on its challenge."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        reader = sock.makefile("rb")
        first = json.loads(reader.readline())
        assert list(first) == ["challenge"]
        answers = []
        with suppress(ConnectionResetError, BrokenPipeError):  # it has ended before it has read all of a long line
            sock.sendall(line(first["challenge"]) if callable(line) else line)
            for answer in reader:
                answers.append(json.loads(answer))
    return answers


def hello(side="worker", *, reflected=False, **changes):
    """The first line of a worker, proved with the token, by the run's challenge."""

    def line(challenge):
        own = challenge if reflected else "c"
        shown = {"challenge": own, "proof": proof(TOKEN.encode(), side, (challenge, own))}
        return line_of(shown | {"python": VERSION, "automl": AUTOML} | changes)

    return line


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (hello(proof="0" * 64), "it has another token"),
        (hello(proof=None), "it has another token"),
        (hello("run", reflected=True), "it has another token"),
        (hello(python="2.7"), f"it runs Python 2.7, this machine {VERSION}"),
        (hello(automl="0.1"), f"it has automl 0.1, this machine {AUTOML}"),
        (b"[]\n", None),  # what does not speak the protocol gets no answer, and is not worth a line
        (b"\xff\n", None),
        (b"{" * (MAX_UNAUTHENTICATED_BYTES + 10), None),
        (b"[" * 100_000 + b"\n", None),
    ],
    ids=["wrong", "none", "reflected", "python", "automl", "list", "bytes", "long", "nested"],
)
def test_who_does_not_prove_to_know_the_token_gets_no_task(line, reason):
    said = []
    with executor_of(curve, said=said) as executor:
        assert talk(executor.port, line) == ([] if reason is None else [{"refused": reason}])
        assert said == ([] if reason is None else [f"the worker at 127.0.0.1 is left out: {reason}"])
        assert executor.wait(0.1) == []
        assert executor.n_workers == 0


def test_who_proves_to_know_the_token_gets_the_task_and_others_are_let_in_after_a_refusal():
    said = []
    with executor_of(curve, said=said) as executor:
        talk(executor.port, hello(proof=None))
        talk(executor.port, b"{" * (MAX_UNAUTHENTICATED_BYTES + 10))
        with line_to(executor) as line:
            line.send({"ready": True})
            until(lambda: executor.n_free == 1, executor)
    assert len(said) == 1


def certificate(folder, name="localhost"):
    """A PEM file with a certificate and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    file = folder / f"{name}.pem"
    file.write_bytes(made.public_bytes(pem) + key.private_bytes(pem, form, serialization.NoEncryption()))
    return file


def test_a_connection_is_encrypted_and_another_certificate_is_refused(worker, tmp_path):
    own, other = certificate(tmp_path), certificate(tmp_path, "other")
    with executor_of(curve, tls=run_side(own)) as executor:
        good = worker(executor.port, "--certificate", own, host="localhost")
        until(lambda: executor.n_free == 1, executor)
        executor.submit(job())
        events = until(lambda: executor.n_free == 1, executor)
        assert len(events) == 4
        _, err = worker(executor.port, "--certificate", other, host="localhost").communicate(timeout=120)
        assert err.startswith(f"automl: the certificate of localhost:{executor.port} is not the expected one")
    assert good.wait(120) == 0


def test_beyond_this_machine_a_connection_needs_a_certificate(tmp_path):
    with pytest.raises(UserError, match=r"0\.0\.0\.0:7070 is reached by other machines, which needs TLS: give --cert"):
        check_tls("0.0.0.0:7070", None)
    check_tls("localhost:7070", None)
    check_tls("[::1]:7070", None)


def test_what_the_options_lack_is_one_line(tmp_path):
    for options, message in (
        ({"executor": "slurm"}, "unknown executor 'slurm'; choose one of: local, ray, tcp"),
        ({"executor": "tcp"}, "--executor tcp needs --listen HOST:PORT and --token-file FILE"),
        ({"gpus": 0.5}, "--gpus needs --executor ray"),
        ({"executor": "ray", "cores": 0}, "--cores must be 0.01 or more, got 0"),
    ):
        with pytest.raises(UserError, match=message):
            Machines(**options)
    (tmp_path / "token").write_text("short")
    with pytest.raises(UserError, match="must have 16 characters or more"):
        read_token(tmp_path / "token")
    with pytest.raises(UserError, match=r"an address is HOST:PORT, such as 127.0.0.1:7070; got 'here'"):
        check_tls("here", None)


@pytest.mark.slow
def test_a_run_goes_on_with_workers_that_join_and_die(worker, tmp_path):
    """The real commands on both sides; the worker that is killed costs a retry."""
    (tmp_path / "mine.py").write_text(
        "import os, signal\n"
        "def train(config, folder):\n"
        "    for epoch in range(3):\n"
        "        if epoch == 1 and not (folder.parent / 'killed').exists():\n"
        "            (folder.parent / 'killed').touch()\n"
        "            os.kill(os.getppid(), signal.SIGKILL)\n"
        "        yield config['x'] + epoch\n"
    )
    (tmp_path / "space.yaml").write_text("x: {float: [0, 1]}\n")
    (tmp_path / "token").write_text(TOKEN)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "automl", "run", "--executor", "tcp", "--listen", f"127.0.0.1:{port}",
        "--token-file", "token", "--task", "mine.py:train", "--space", "space.yaml", "--epochs", "3", "--trials", "4",
        "--strategy", "random", "--reproducible", "--workers", "2", "--final-seeds", "0", "--no-learn", "--out", "run",
    ]  # fmt: skip
    run = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    threading.Thread(target=lambda: [worker(port).wait(), worker(port)], daemon=True).start()
    out = run.communicate(timeout=400)[0]
    assert run.returncode == 0, out
    assert "is trained again: " in out
    assert "no workers are left" in out
    assert len((tmp_path / "run" / "trials.csv").read_text().splitlines()) == 5
    assert "failed" not in (tmp_path / "run" / "trials.csv").read_text()
