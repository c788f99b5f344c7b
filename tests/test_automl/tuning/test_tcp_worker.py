"""The side of ``automl worker``: what it trusts, when it tries again, and what it leaves behind."""

import json
import signal
import socket
import threading
from contextlib import ExitStack

import psutil
import pytest
from tcp_workers import TOKEN, curve, executor_of, job, until

from automl.tuning import tcp_executor
from automl.tuning.jobs import JobEnded
from automl.tuning.remote import WorkerSettings
from automl.tuning.tcp_executor import MAX_UNAUTHENTICATED
from automl.tuning.tcp_protocol import MAX_UNAUTHENTICATED_BYTES
from automl.tuning.tcp_worker import Disconnected, RunConnection


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_ended_takes_the_task_with_it(worker, tmp_path, monkeypatch, sign):
    def endless(config):
        import os
        import time

        while True:
            yield {"loss": 1.0, "pid": os.getpid()}
            time.sleep(0.1)

    monkeypatch.setenv("TMPDIR", str(tmp_path))  # of the worker
    with executor_of(endless, max_epochs=10_000) as executor:
        process = worker(executor.port, "--workers", "2")
        until(lambda: executor.n_free == 2, executor)
        [task] = tmp_path.glob("automl-*/*/task")
        executor.submit(job(epochs=10_000))
        events = []
        until(lambda: events or events.extend(executor.wait(0.5)))
        process.send_signal(sign)
        assert process.wait(60) == 130
        ended = until(lambda: executor.n_workers == 0, executor)
    assert [(e.key, e.lost) for e in ended if isinstance(e, JobEnded)] == [(0, True)]
    assert not list(task.parents[1].iterdir())
    assert not psutil.pid_exists(int(events[0].epoch.metrics["pid"]))


def test_a_worker_that_comes_while_others_are_checked_tries_again(worker, monkeypatch):
    monkeypatch.setattr(tcp_executor, "HANDSHAKE_SECONDS", 120.0)  # a worker may take longer than ten to start
    said = []
    with executor_of(curve, said=said) as executor, ExitStack() as held:
        for _ in range(MAX_UNAUTHENTICATED):
            sock = held.enter_context(socket.create_connection(("127.0.0.1", executor.port), timeout=20))
            assert sock.recv(1) == b"{"  # a challenge
        process = worker(executor.port)
        assert process.stdout.readline() == "worker 0: the run is busy with other connections; trying again\n"
        held.close()
        until(lambda: executor.n_free == 1, executor)
    assert said == ["64 connections at a time are being checked; a worker at 127.0.0.1 has to try again"]


def test_a_worker_executes_nothing_of_a_run_that_does_not_know_the_token(worker, tmp_path):
    """Whoever listens there gets a proof for its own challenge, which is none of a run's."""
    listener = socket.create_server(("127.0.0.1", 0))
    process = worker(listener.getsockname()[1])
    sock, _ = listener.accept()
    with listener, sock:
        sock.sendall(b'{"challenge": "c"}\n')
        hello = json.loads(sock.makefile("rb").readline())
        welcome = {"proof": hello["proof"], "run": "r", "settings": {}, "task": "gASVLg=="}
        sock.sendall(json.dumps(welcome).encode() + b"\n")
        _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (2, "automl: the server at this address does not know the token\n")


def test_a_worker_reads_no_endless_line_before_the_proof():
    ours, theirs = socket.socketpair()
    with ours, theirs:

        def pretend():
            ours.sendall(b'{"challenge": "c"}\n' + b"x" * (MAX_UNAUTHENTICATED_BYTES + 10))

        thread = threading.Thread(target=pretend)
        thread.start()
        with pytest.raises(Disconnected, match="the connection was closed"):
            RunConnection(theirs, TOKEN.encode(), "name")
        theirs.close()
        thread.join()


def test_a_worker_without_a_run_gives_up_in_one_line(worker):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    _, err = worker(port, "--patience", "0").communicate(timeout=120)
    assert err == f"automl: no run at 127.0.0.1:{port}: Connection refused\n"


def test_a_machine_that_does_not_see_the_folder_is_left_out_in_one_line(worker, tmp_path):
    said, settings = [], WorkerSettings(folder=str(tmp_path / "trials"))
    with executor_of(curve, said=said, settings=settings) as executor:
        (tmp_path / "trials" / ".shared").write_text("of another run")
        _, err = worker(executor.port).communicate(timeout=120)
        until(lambda: executor.n_workers == 0, executor)
    assert "does not see the run's folder" in err
    assert "does not see the run's folder" in said[0]
    assert err.count("\n") == 1
