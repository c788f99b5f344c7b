"""A model behind HTTP: POST /predict, GET /health, and /openapi.json made for this model.

Requests are answered one at a time in a thread of their own, so that /health answers while the model computes.
"""

from __future__ import annotations

import asyncio
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NoReturn

from fastapi import FastAPI, Request, Response

from automl.deployment.json_predictions import Answering
from automl.deployment.predictor import Predictor
from automl.errors import UserError

MOST_WAITING = 64  # requests; a client that comes after them is told at once
LONGEST = 300  # characters of a reason, which may quote what was sent
JSON_TYPE = "application/json"
REASON = {"type": "object", "properties": {"detail": {"type": "string"}}, "required": ["detail"]}
REFUSALS = {
    413: "more bytes or examples than are taken",
    415: f"the content is not said to be {JSON_TYPE}",
    422: "an example, or the JSON, is wrong: the reason",
    500: "the model failed",
    503: "no answer within the time, or too many requests are waiting",
}


@dataclass(frozen=True)
class Limits:
    """What a request may ask for."""

    rows: int
    bytes: int
    seconds: float


class Refused(Exception):
    """A request that gets no predictions."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Service:
    """The application, and the thread in which it predicts."""

    def __init__(self, predictor: Predictor, limits: Limits) -> None:
        self.predictor, self.limits = predictor, limits
        self.answering = Answering(predictor)
        self.app = self._app()
        self._workers = ThreadPoolExecutor(1, "predictions")
        self._waiting = 0

    def close(self) -> None:
        """No request that still waits is begun."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _app(self) -> FastAPI:
        # Pages of documentation would load their scripts from elsewhere.
        app = FastAPI(title=str(self.predictor.card.get("task") or "model"), docs_url=None, redoc_url=None)
        rows = {"minItems": 1, "maxItems": self.limits.rows}
        examples = {"type": "array", "items": self.answering.record_schema, **rows}
        asked = {"type": "object", "properties": {"examples": examples}, "required": ["examples"]}
        answers: dict[int | str, dict[str, Any]] = {
            200: {"description": "the answers", "content": {JSON_TYPE: {"schema": self.answering.answer_schema}}}
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
            openapi_extra={"requestBody": {"required": True, "content": {JSON_TYPE: {"schema": asked}}}},
        )
        app.add_api_route("/health", self.health, methods=["GET"], response_model=None)
        return app

    async def health(self) -> dict[str, Any]:
        """What this server serves."""
        told = ("task", "kind", "made", "metric", "test", "started", "versions")
        card = self.predictor.card
        return {"status": "ok", "target": self.predictor.target} | {name: card.get(name) for name in told}

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
            return _refusal(503, f"no answer within {self.limits.seconds:g} seconds; send fewer examples at a time")
        except Exception:
            logging.getLogger(__name__).exception("a request failed")
            return _refusal(500, "the model failed on these examples; the log of the server says why")

    async def _answer(self, request: Request) -> bytes:
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != JSON_TYPE:
            raise Refused(415, f"send Content-Type: {JSON_TYPE}")
        body = await _body(request, self.limits.bytes)
        if self._waiting >= MOST_WAITING:
            raise Refused(503, f"{MOST_WAITING} requests are waiting already; come back later")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._workers, self._work, body)
        finally:
            self._waiting -= 1

    def _work(self, body: bytes) -> bytes:
        """In the thread: parsing and writing JSON takes its time as well."""
        answer = self.answering.answer(self._records(body))
        return json.dumps(answer, allow_nan=False, ensure_ascii=False).encode()

    def _records(self, body: bytes) -> list[Any]:
        try:
            content = json.loads(body, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise UserError(f"the body is no JSON: {error}") from None
        records = content.get("examples") if isinstance(content, dict) else None
        if not isinstance(records, list) or not records:
            raise UserError('send an object {"examples": [...]} with one example or more')
        if len(records) > self.limits.rows:
            raise Refused(413, f"{len(records):,} examples; at most {self.limits.rows:,} are taken at a time")
        return records


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON; null says missing")


async def _body(request: Request, most: int) -> bytes:
    """The body. What is too long is read on for a while and thrown away, or the client would not hear why."""
    body, n = bytearray(), 0
    async for part in request.stream():
        n += len(part)
        if n > 4 * most:
            break
        if n <= most:
            body += part
    if n > most:
        raise Refused(413, f"the body has more than {most:,} bytes, the most that are taken")
    return bytes(body)


def _refusal(status: int, reason: str) -> Response:
    detail = reason if len(reason) <= LONGEST else f"{reason[:LONGEST]}..."
    headers = {"Retry-After": "1"} if status == 503 else None
    return Response(json.dumps({"detail": detail}), status, headers, JSON_TYPE)
