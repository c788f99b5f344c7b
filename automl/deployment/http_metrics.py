"""Prometheus metrics of the HTTP service, at ``/metrics``."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from automl.deployment.http_limits import Application, Scope

PATHS = ("/", "/predict", "/health", "/metrics", "/openapi.json", "/docs")  # those with their own label
SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # upper bounds of the buckets


class ServiceMetrics:
    """Counts requests, their seconds and their examples."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, model: str, version: int, n_waiting: Callable[[], int]) -> None:
        """``n_waiting``: the number of requests that wait for a prediction."""
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        Info("automl_serve_model", "The model.", registry=registry).info({"name": model, "version": str(version)})
        self._examples = Counter("automl_serve_examples", "Examples in answered requests.", registry=registry)
        self._unusable = Counter(
            "automl_serve_values_as_missing", "Values, not null, that the model treats as missing.", ["column"],
            registry=registry,
        )  # fmt: skip
        self._requests = Counter("automl_serve_requests", "Requests.", ["path", "status"], registry=registry)
        self._seconds = Histogram(
            "automl_serve_seconds", "Time from a request's head to its answer.", ["path"], buckets=SECONDS,
            registry=registry,
        )  # fmt: skip
        waiting = Gauge("automl_serve_waiting", "Requests that wait for a prediction.", registry=registry)
        waiting.set_function(n_waiting)

    def count(self, n_examples: int, unusable: Mapping[str, int]) -> None:
        """Count predictions, and by column the values that were treated as missing."""
        self._examples.inc(n_examples)
        for column, n in unusable.items():
            self._unusable.labels(column).inc(n)

    def text(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def around(self, application: Application) -> Application:
        """Wrap the application to count its requests."""

        async def counted(scope: Scope, receive: Any, send: Any) -> None:
            path = scope["path"] if scope.get("path") in PATHS else "other"
            start, status = time.perf_counter(), "none"  # if the client leaves before the response

            async def noted(message: Any) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = str(message["status"])
                await send(message)

            try:
                await application(scope, receive, noted)
            finally:
                self._requests.labels(path, status).inc()
                self._seconds.labels(path).observe(time.perf_counter() - start)

        return counted
