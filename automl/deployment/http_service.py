"""A model served over HTTP: POST /predict, GET /health and /metrics, an /openapi.json for this model, and a page at /.

Predictions run one at a time in a separate thread, so that /health responds meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from fastapi import FastAPI, Request, Response

from automl.deployment.http_limits import Application, for_loopback, with_token
from automl.deployment.http_metrics import ServiceMetrics
from automl.deployment.http_page import page
from automl.deployment.json_predictions import JointJsonPredictions, JsonPredictions
from automl.deployment.loopback import LOOPBACK_ONLY
from automl.deployment.model_files import version_of
from automl.deployment.predictor import Predictor
from automl.deployment.several_targets import JointPredictor
from automl.errors import UserError

MAX_WAITING = 64  # queued requests; further ones are refused at once
MAX_DETAIL_LENGTH = 300  # characters of an error detail, which may quote the request
JSON_TYPE = "application/json"
HEALTH_ENTRIES = ("task", "kind", "made", "metric", "test", "started", "versions")  # of a model's card, in /health
REASON = {"type": "object", "properties": {"detail": {"type": "string"}}, "required": ["detail"]}
REFUSALS = {
    413: "too many bytes or examples",
    415: f"the content type is not {JSON_TYPE}",
    422: "invalid JSON or an invalid example, with the reason",
    500: "the model failed",
    503: "time limit exceeded, or too many requests are waiting",
}


@dataclass(frozen=True)
class Limits:
    """The limits of a request."""

    rows: int
    bytes: int
    seconds: float


class Refused(Exception):
    """A request that gets no predictions."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Service:
    """The application and its prediction thread."""

    def __init__(self, predictor: Predictor | JointPredictor, limits: Limits, token: str | None = None) -> None:
        """``token``: requests must send it as ``Authorization: Bearer TOKEN``; None: their host must be loopback."""
        self.predictor, self.limits, self._token = predictor, limits, token
        self.predictions = (
            JointJsonPredictions(predictor) if isinstance(predictor, JointPredictor) else JsonPredictions(predictor)
        )
        self.title = str(predictor.card.get("task") or "model")
        about = predictor.about_predictions or ""
        self._about = f"{about[:1].upper()}{about[1:]}." if about else ""
        self._waiting = 0
        self._turn = asyncio.Lock()  # held while the thread computes, even if the request has timed out
        self._metrics = ServiceMetrics(self.title, version_of(predictor.card), lambda: self._waiting)
        self.app: Application = self._app()
        if token is not None:
            refusal = _refusal(401, "send the token of this service: Authorization: Bearer TOKEN")
            self.app = with_token(self.app, token, refusal)
        else:
            self.app = for_loopback(self.app, _refusal(403, LOOPBACK_ONLY))
        self.app = self._metrics.around(self.app)
        self._workers = ThreadPoolExecutor(1, "predictions")

    def close(self) -> None:
        """Shut down; queued requests are not started."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _app(self) -> FastAPI:
        # FastAPI's documentation pages would load scripts from a CDN.
        app = FastAPI(title=self.title, docs_url=None, redoc_url=None)
        rows = {"minItems": 1, "maxItems": self.limits.rows}
        examples = {"type": "array", "items": self.predictions.record_schema, **rows}
        asked = {"type": "object", "properties": {"examples": examples}, "required": ["examples"]}
        answers: dict[int | str, dict[str, Any]] = {
            200: {
                "description": "the predictions",
                "content": {JSON_TYPE: {"schema": self.predictions.response_schema}},
            }
        }
        answers |= {
            status: {"description": why, "content": {JSON_TYPE: {"schema": REASON}}} for status, why in REFUSALS.items()
        }
        app.add_api_route(
            "/predict",
            self.predict,
            methods=["POST"],
            response_class=Response,
            responses=answers,
            description=f"Predictions for the examples of a request. {self._about}".rstrip(),
            openapi_extra={"requestBody": {"required": True, "content": {JSON_TYPE: {"schema": asked}}}},
        )
        app.add_api_route("/health", self.health, methods=["GET"], response_model=None)
        app.add_api_route("/metrics", self.metrics, methods=["GET"], response_class=Response, include_in_schema=False)
        for path in ("/", "/docs"):
            app.add_api_route(path, self.page, methods=["GET"], response_class=Response, include_in_schema=False)
        return app

    async def page(self, request: Request) -> Response:
        """The page for browsers."""
        schema, has_token = self.predictions.record_schema, self._token is not None
        content = page(
            self.title, self.predictor.target, str(request.base_url), schema, self._about, has_token=has_token
        )
        return Response(content, media_type="text/html")

    async def health(self) -> dict[str, Any]:
        """The status and the model; for several targets, also the model of each."""
        predictor = self.predictor
        found: dict[str, Any] = {"status": "ok", "target": predictor.target, **_in_short(predictor.card)}
        if isinstance(predictor, JointPredictor):
            found["targets"] = {target: _in_short(part.card) for target, part in predictor.parts.items()}
        return found

    async def metrics(self) -> Response:
        """Counts for Prometheus."""
        return Response(self._metrics.text(), headers={"Content-Type": self._metrics.content_type})

    async def predict(self, request: Request) -> Response:
        """Predictions for the examples of a request."""
        try:
            async with asyncio.timeout(self.limits.seconds):
                return Response(await self._answer(request), media_type=JSON_TYPE)
        except Refused as error:
            return _refusal(error.status, error.reason)
        except UserError as error:
            return _refusal(422, str(error))
        except TimeoutError:
            return _refusal(503, f"no prediction within {self.limits.seconds:g} seconds; send fewer examples at a time")
        except asyncio.CancelledError:  # the server ends before the request was read
            return _refusal(503, "the server is shutting down")
        except Exception:
            logging.getLogger(__name__).exception("a request failed")
            return _refusal(500, "the model failed on these examples; see the server's log")

    async def _answer(self, request: Request) -> bytes:
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != JSON_TYPE:
            raise Refused(415, f"send Content-Type: {JSON_TYPE}")
        body = await _body(request, self.limits.bytes)
        if self._waiting >= MAX_WAITING:
            raise Refused(503, f"{MAX_WAITING} requests are waiting already; retry later")
        self._waiting += 1
        try:
            return await self._predicted(request, body)
        finally:
            self._waiting -= 1

    async def _predicted(self, request: Request, body: bytes) -> bytes:
        """The response, when it is its turn: in the thread's queue, bodies would outlive timed-out requests."""
        loop = asyncio.get_running_loop()
        await self._turn.acquire()
        try:
            if await request.is_disconnected():
                raise Refused(499, "the client has left")
            work = self._workers.submit(self._work, body)
        except BaseException:
            self._turn.release()
            raise
        work.add_done_callback(lambda _: self._end_turn(loop))
        return await asyncio.wrap_future(work)

    def _end_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(RuntimeError):  # the loop is closed, since the server has ended
            loop.call_soon_threadsafe(self._turn.release)

    def _work(self, body: bytes) -> bytes:
        """Runs in the thread, since parsing and writing JSON take time as well."""
        records = self._records(body)
        unusable: Counter[str] = Counter()
        response = self.predictions.response(records, unusable)
        self._metrics.count(len(records), unusable)
        return json.dumps(response, allow_nan=False, ensure_ascii=False).encode()

    def _records(self, body: bytes) -> list[Any]:
        try:
            content = json.loads(body, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise UserError(f"the body is not JSON: {error}") from None
        records = content.get("examples") if isinstance(content, dict) else None
        if not isinstance(records, list) or not records:
            raise UserError('send an object {"examples": [...]} with at least one example')
        if len(records) > self.limits.rows:
            raise Refused(413, f"{len(records):,} examples; at most {self.limits.rows:,} are allowed per request")
        return records


def _in_short(card: Mapping[str, Any]) -> dict[str, Any]:
    return {"version": version_of(card), **{name: card.get(name) for name in HEALTH_ENTRIES}}


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not valid JSON; send null for a missing value")


async def _body(request: Request, max_bytes: int) -> bytes:
    """The body. A body that is too long is read and discarded: a client that is still sending misses the refusal."""
    body, n = bytearray(), 0
    async for part in request.stream():
        n += len(part)
        if n <= max_bytes:
            body += part
    if n > max_bytes:
        raise Refused(413, f"the body has more than {max_bytes:,} bytes, the limit")
    return bytes(body)


def _refusal(status: int, reason: str) -> Response:
    detail = reason if len(reason) <= MAX_DETAIL_LENGTH else f"{reason[:MAX_DETAIL_LENGTH]}..."
    headers = {503: {"Retry-After": "1"}, 401: {"WWW-Authenticate": "Bearer"}}.get(status)
    return Response(json.dumps({"detail": detail}), status, headers, JSON_TYPE)
