"""Prometheus metrics of a search, at ``http://127.0.0.1:PORT/metrics`` while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server

from automl.errors import UserError

HOST = "127.0.0.1"
ASK_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # upper bounds of the buckets
TRAINING_SECONDS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0)


class RunMetrics:
    """Counts the events of a run's log. Counters start at 0 when a run is resumed."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._workers = Gauge("automl_workers", "Trainings that run at a time.", registry=registry)
        self._running = Gauge("automl_running_trials", "Trials in training.", registry=registry)
        self._best = Gauge("automl_best_loss", "Loss of the best trial; NaN before there is one.", registry=registry)
        self._best.set(float("nan"))
        self._trials = Counter("automl_trials", "Outcomes, by the trial's state.", ["state"], registry=registry)
        self._epochs = Counter("automl_epochs", "Epochs of the outcomes.", registry=registry)
        self._others = Counter(
            "automl_trainings_after_search", "Trainings of the final and the refit.", ["stage", "state"],
            registry=registry,
        )  # fmt: skip
        self._restarts = Counter("automl_restarts", "Trainings that went back.", registry=registry)
        self._retries = Counter("automl_retries", "Trainings whose process was killed.", registry=registry)
        self._asks = Histogram(
            "automl_ask_seconds", "Time that the strategy took for a proposal.", buckets=ASK_SECONDS, registry=registry
        )
        self._trainings = Histogram(
            "automl_training_seconds", "Time that a step of a trial was trained.", buckets=TRAINING_SECONDS,
            registry=registry,
        )  # fmt: skip
        self._after: dict[int, int] = {}  # the epochs of each running trial before its step

    def __call__(self, event: str, facts: Mapping[str, Any]) -> None:
        """Count an event; a listener for a RunLog."""
        if event == "begin":
            self._workers.set(facts["n_workers"])
        elif event == "workers":  # on other machines, which come and go
            self._workers.set(facts["n"])
        elif event == "ask":
            self._asks.observe(facts["seconds"])
        elif "stage" in facts:  # after the search
            if event == "tell":
                self._others.labels(facts["stage"], facts["state"]).inc()
        elif event == "start":
            self._after[facts["trial"]] = facts["after"]
        elif event == "tell":
            self._trials.labels(facts["state"]).inc()
            self._epochs.inc(max(0, facts["epochs"] - self._after.pop(facts["trial"], 0)))
            self._trainings.observe(facts["training_seconds"])
            if "best" in facts:
                self._best.set(facts["best"])
        elif event == "end":
            self._after.clear()
        if event == "restart":
            self._restarts.inc()
        elif event == "retry":
            self._retries.inc()
        self._running.set(len(self._after))

    @contextmanager
    def served(self, port: int) -> Iterator[str]:
        """Serve the metrics on loopback within the context; yields their address. UserError if the port is in use; 0
        picks a free one."""
        try:
            server, thread = start_http_server(port, HOST, self.registry)
        except OSError as error:
            raise UserError(
                f"cannot listen on port {port} ({error.strerror}); choose another with --metrics-port, "
                "or --metrics-port 0"
            ) from None
        try:
            yield f"http://{HOST}:{server.server_port}/metrics"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
