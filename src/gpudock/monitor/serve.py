"""The web server's routes: what programs ask, as JSON and as server-sent events. Pages are given to it.

    /metrics            for Prometheus; ?families=gpudock,dcgm,nvidia_smi chooses
    /api/v1/sample      the newest Sample
    /api/v1/events      text/event-stream: each Sample as one `data:` line, event name "sample"
    /api/v1/history     ?metric=&subject=&since=&until=&points=   a source.Chart; times are Unix seconds,
                        or seconds before now when they begin with "-"
    /api/v1/usage       ?by=&since=&until=                        a source.Usage
    /-/healthy          200 while the server lives
    /-/ready            200 while there is a Sample that is not stale, else 503; both say why in plain words

A wrong parameter is 400 with {"error": WHY}; without history the two that need one are 404.
"""

import math
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar, get_args

import msgspec

from gpudock.errors import HostError
from gpudock.facts.base import Missing
from gpudock.monitor.exposition import GROUPS, Exposition
from gpudock.monitor.metric import CONTENT_TYPE
from gpudock.monitor.sample import encode
from gpudock.monitor.source import By, History, Metric, Source, Subject
from gpudock.monitor.stream import Stream
from gpudock.plan.quote import quote

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

LONGEST = 400 * 86400.0  # seconds that one question may span
MOST_POINTS = 2000
MOST_LISTENERS = 200  # each is sent every sample
MOST_QUESTIONS = 2  # to the history at once: nothing is written while it is read
MOST_WAITING = 50  # questions
_HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
_Choice = TypeVar("_Choice", By, Metric, Subject)


class QuestionError(Exception):
    """What is wrong with a request's parameters."""


def application(
    source: Source, history: History | None, pages: "Sequence[BaseRoute]" = (), exposition: Exposition | None = None
) -> "Starlette":
    """Everything that is served. `pages` come after the routes here, so they cannot hide one."""
    from starlette.applications import Starlette  # noqa: PLC0415  only who serves has it

    stream = Stream(source)

    @asynccontextmanager
    async def lifespan(_: "Starlette") -> AsyncIterator[None]:
        async with stream.running():
            yield

    own = [*routes(source, history, stream), *(metrics(exposition, "/metrics") if exposition else ())]
    return Starlette(routes=[*own, *pages], lifespan=lifespan)


def small(exposition: Exposition, paths: str) -> "Starlette":
    """An old exporter: its metrics and nothing else."""
    from starlette.applications import Starlette  # noqa: PLC0415

    return Starlette(routes=metrics(exposition, paths))


def metrics(exposition: Exposition, path: str) -> "list[BaseRoute]":
    from starlette.responses import Response  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    async def answer(request: "Request") -> "Response":
        families = tuple(each for each in request.query_params.get("families", "").split(",") if each)
        if wrong := next((each for each in families if each not in GROUPS), None):
            why = f"families are {', '.join(GROUPS)}, not {quote(wrong)}\n"
            return Response(why, 400, media_type="text/plain", headers=_HEADERS)
        text = exposition.text(families)
        return Response(text, media_type=CONTENT_TYPE, headers=_HEADERS)

    return [Route(path, answer)]


def routes(source: Source, history: History | None, stream: Stream) -> "list[BaseRoute]":
    from anyio import CapacityLimiter  # noqa: PLC0415
    from starlette.responses import PlainTextResponse, StreamingResponse  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    async def sample(_: "Request") -> "Response":
        return _json(encode(source.latest()))

    async def events(_: "Request") -> "Response":
        if stream.listeners >= MOST_LISTENERS:
            return PlainTextResponse("there are too many listeners already\n", 503, headers=_HEADERS)
        headers = _HEADERS | {"x-accel-buffering": "no"}
        return StreamingResponse(_events(stream), media_type="text/event-stream", headers=headers)

    async def ready(_: "Request") -> "Response":
        why = unready(source)
        return PlainTextResponse(why or "ready\n", 503 if why else 200, headers=_HEADERS)

    async def healthy(_: "Request") -> "Response":
        return PlainTextResponse("healthy\n", headers=_HEADERS)

    turns = CapacityLimiter(MOST_QUESTIONS)

    async def remembered(request: "Request") -> "Response":
        if turns.statistics().tasks_waiting >= MOST_WAITING:
            return _json(msgspec.json.encode({"error": "too many questions wait already"}), 503)
        async with turns:
            if await request.is_disconnected():  # nobody waits for it any more
                return _json(b"")
            return await _answer(history, request.url.path.rpartition("/")[2], request.query_params)

    return [
        Route("/api/v1/sample", sample),
        Route("/api/v1/events", events),
        Route("/api/v1/history", remembered),
        Route("/api/v1/usage", remembered),
        Route("/-/ready", ready),
        Route("/-/healthy", healthy),
    ]


async def _events(stream: Stream) -> AsyncIterator[bytes]:
    async for sample, data in stream.samples():
        yield b"event: sample\nid: %d\ndata: %s\n\n" % (sample.number, data)


def unready(source: Source) -> str:
    """Why what could be shown now is not true of now; "" when it is."""
    sample = source.latest()
    if isinstance(sample.gpus, Missing):
        return f"no GPU could be read: {sample.gpus.reason}\n"
    return f"the newest sample is {sample.age:.0f} s old\n" if sample.stale else ""


async def _answer(history: History | None, what: str, asked: Mapping[str, str]) -> "Response":
    from anyio import to_thread  # noqa: PLC0415

    if history is None:
        return _json(msgspec.json.encode({"error": "no history is kept here"}), 404)
    try:
        since, until = _span(asked, time.time())
        if what == "usage":
            by = _choice(asked, "by", "user", get_args(By))
            usage = await to_thread.run_sync(history.usage, by, since, until)
            return _json(msgspec.json.encode(usage))
        metric = _choice(asked, "metric", "utilization", get_args(Metric))
        subject = _choice(asked, "subject", "gpu", get_args(Subject))
        points = min(max(int(_number(asked, "points", 300)), 2), MOST_POINTS)
        chart = await to_thread.run_sync(history.chart, metric, subject, since, until, points)
        return _json(msgspec.json.encode(chart))
    except QuestionError as error:
        return _json(msgspec.json.encode({"error": str(error)}), 400)
    except HostError as error:
        return _json(msgspec.json.encode({"error": str(error)}), 503)


def _json(data: bytes, status: int = 200) -> "Response":
    from starlette.responses import Response  # noqa: PLC0415

    return Response(data, status, media_type="application/json", headers=_HEADERS)


def _span(asked: Mapping[str, str], now: float) -> tuple[float, float]:
    since, until = (
        now + value if asked.get(name, "").startswith("-") else value
        for name, value in (("since", _number(asked, "since", now - 3600)), ("until", _number(asked, "until", now)))
    )
    if not 0 < until - since <= LONGEST:
        raise QuestionError("since must be before until, and at most 400 days")
    if not 0 <= since <= now + LONGEST:
        raise QuestionError("since must be between 1970 and 400 days from now")
    return since, until


def _number(asked: Mapping[str, str], name: str, default: float) -> float:
    try:
        value = float(asked.get(name, default))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise QuestionError(f"{name} is no number: {quote(asked.get(name, ''))}")
    return value


def _choice(asked: Mapping[str, str], name: str, default: _Choice, known: tuple[_Choice, ...]) -> _Choice:
    given = asked.get(name, default)
    for each in known:
        if each == given:
            return each
    raise QuestionError(f"{name} is one of {', '.join(known)}, not {quote(given)}")
