"""Latency and throughput of ``automl serve``: ``python -m benchmarks.experiments.serving``, results/serving.csv.

A small table model is trained and served by the real server on the loopback interface; the clients are threads of this
process that send one request after the other.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil
import typer

from automl.errors import UserError
from automl.study.run_folder import write_atomic
from benchmarks.command import run_command

COLUMNS = "model,rows,concurrency,seconds,requests,requests_a_second,p50_ms,p95_ms,p99_ms,server_cpu_ms,errors"
FAMILIES = "linear,gradient_boosting,mlp"
EPOCHS = 2


def main(
    out: Annotated[Path, typer.Option(help="Table to write.")] = Path("results/serving.csv"),
    models: Annotated[str, typer.Option(help="Model families for tables, separated by commas.")] = FAMILIES,
    concurrency: Annotated[str, typer.Option(help="Numbers of concurrent clients.")] = "1,4,16",
    rows: Annotated[str, typer.Option(help="Numbers of examples per request.")] = "1,100",
    seconds: Annotated[float, typer.Option(min=0.1, help="Duration of each measurement.")] = 5.0,
) -> None:
    """Train, serve, send requests and write the table."""
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        examples = prepared(Path(folder))
        for family in models.split(","):
            with served(trained(Path(folder), family)) as server:
                for n in map(int, rows.split(",")):
                    body = json.dumps({"examples": (examples * n)[:n]}).encode()
                    for clients in map(int, concurrency.split(",")):
                        lines.append(f"{family},{n},{clients},{measured(server, body, clients, seconds)}")
                        print(lines[-1], flush=True)
    write_atomic(out, "\n".join([COLUMNS, *lines]) + "\n")
    print(out)


def prepared(folder: Path) -> list[dict[str, Any]]:
    """Prepare scikit-learn's breast cancer table in ``data`` of a folder; returns its rows as a client sends them."""
    from sklearn.datasets import load_breast_cancer

    from automl.data.ingest.prepare import prepare
    from automl.data.ingest.request import Request

    frame = load_breast_cancer(as_frame=True).frame
    frame.to_csv(folder / "cells.csv", index=False)
    prepare(Request(str(folder / "cells.csv"), "target"), folder / "data")
    found: list[dict[str, Any]] = json.loads(frame.drop(columns="target").to_json(orient="records"))
    return found


def trained(folder: Path, family: str) -> Path:
    """The folder of a model with default hyperparameters."""
    from automl.tasks.user_data import own_task
    from strategies.encoding import plain

    task, checkpoint, model = own_task(folder / "data", family, None), folder / f"{family}.training", folder / family
    config = {name: plain(value) for name, value in dict(task.space.get_default_configuration()).items()}
    list(task.train(config, seed=0, epochs=EPOCHS, checkpoint=checkpoint, device="cpu"))
    task.export(checkpoint, model)
    return model


@dataclass(frozen=True)
class ServerProcess:
    """The address and the process of a server."""

    address: str  # host and port
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """CPU seconds so far, to be independent of other load on the machine."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def served(model: Path) -> Iterator[ServerProcess]:
    """The real server in a separate process."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "automl", "serve", str(model), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if "http://" not in line:
            raise UserError("the server did not start; see its output above")
        try:
            yield ServerProcess(line.split("http://")[1].split("/")[0], psutil.Process(process.pid))
        finally:
            process.terminate()


def measured(server: ServerProcess, body: bytes, clients: int, seconds: float) -> str:
    """The columns of a row from ``seconds`` on: latencies of clients that send a new request after each response."""
    waits: list[float] = []
    errors = [0] * clients
    first = http.client.HTTPConnection(server.address)
    ask(first, body)  # triggers lazy imports
    first.close()
    start, cpu = time.perf_counter(), server.cpu_seconds()
    end = start + seconds

    def client(i: int) -> None:
        connection = http.client.HTTPConnection(server.address, timeout=60)
        while (begun := time.perf_counter()) < end:
            try:
                good = ask(connection, body)
            except OSError:
                good = False
                connection.close()
            errors[i] += not good
            waits.append(time.perf_counter() - begun)
        connection.close()

    threads = [threading.Thread(target=client, args=(i,)) for i in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took, cpu = time.perf_counter() - start, server.cpu_seconds() - cpu
    p50, p95, p99 = 1_000 * np.percentile(waits, [50, 95, 99])
    n = len(waits)
    return f"{took:.2f},{n},{n / took:.1f},{p50:.2f},{p95:.2f},{p99:.2f},{1_000 * cpu / n:.2f},{sum(errors)}"


def ask(connection: http.client.HTTPConnection, body: bytes) -> bool:
    """Send a request; returns whether it succeeded."""
    connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    return answer.status == 200


if __name__ == "__main__":
    run_command(main)
