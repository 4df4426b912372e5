"""What programs are told over HTTP, without a server."""

import asyncio
import contextlib
import time
from typing import Any

import msgspec
import pytest

from gpudock.facts.base import Missing
from gpudock.monitor.exposition import Exposition
from gpudock.monitor.sample import Sample, decode
from gpudock.monitor.serve import application
from gpudock.monitor.shares import Tally
from gpudock.monitor.stream import Stream
from unit.monitor import demo
from unit.monitor.asked import ask, living, request


def served(**changed: Any) -> Any:
    source = demo.DemoSource()
    source.latest = lambda: demo.sample(source.tick, **changed)  # type: ignore[method-assign]
    return application(source, demo.DemoHistory())


def test_the_newest_sample() -> None:
    answer = ask(served(), "/api/v1/sample")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert decode(answer.body) == demo.sample()


def test_each_new_sample_is_an_event() -> None:
    answer = ask(served(), "/api/v1/events", enough=1000)
    assert answer.headers["content-type"].startswith("text/event-stream")
    name, number, data, *_ = answer.body.split(b"\n")
    assert (name, number) == (b"event: sample", b"id: 1")
    assert decode(data.removeprefix(b"data: ")) == demo.sample()


def test_a_slow_listener_gets_the_newest_and_not_a_queue() -> None:
    class Moving(demo.DemoSource):
        def wait(self, after: int, timeout: float) -> Sample:  # noqa: ARG002
            self.step()
            return self.latest()

    async def listen() -> list[int]:
        stream = Stream(Moving())
        numbers = []
        async with stream.running():
            async for sample, _ in stream.samples():
                numbers.append(sample.number)
                if len(numbers) == 3:
                    return numbers
                await asyncio.sleep(0.05)
        return numbers

    first, second, third = asyncio.run(listen())
    assert first < second < third
    assert third - first > 2


def test_while_nobody_listens_nothing_is_encoded_and_who_comes_then_gets_the_newest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Moving(demo.DemoSource):
        def wait(self, after: int, timeout: float) -> Sample:  # noqa: ARG002
            time.sleep(0.001)
            self.step()
            return self.latest()

    encoded: list[int] = []

    def encode(sample: Sample) -> bytes:
        encoded.append(sample.number)
        return b""

    monkeypatch.setattr("gpudock.monitor.stream.encode", encode)

    async def come_and_go() -> list[int]:
        source = Moving()
        stream = Stream(source)
        behind = []
        async with stream.running():
            for _ in range(2):
                await asyncio.sleep(0.05)
                encoded.clear()
                before = source.tick
                await asyncio.sleep(0.05)
                assert source.tick > before
                assert encoded == []
                listening = stream.samples()
                before = source.tick
                sample, _ = await anext(listening)
                behind.append(before - sample.number)
                following, _ = await anext(listening)
                assert following.number >= sample.number
                await listening.aclose()
        return behind

    assert max(asyncio.run(come_and_go())) <= 0


@pytest.mark.parametrize(
    ("changed", "status", "says"),
    [
        ({}, 200, "ready"),
        ({"age": 9.0}, 503, "9 s old"),
        ({"gpus": Missing("there is no NVIDIA driver")}, 503, "there is no NVIDIA driver"),
    ],
)
def test_ready_says_why_not(changed: dict[str, Any], status: int, says: str) -> None:
    answer = ask(served(**changed), "/-/ready")
    assert answer.status == status
    assert says in answer.body.decode()
    assert ask(served(**changed), "/-/healthy").status == 200


def test_history_and_usage() -> None:
    chart = ask(served(), "/api/v1/history?metric=power&subject=gpu&since=-3600&points=60").json
    assert (chart["metric"], len(chart["times"])) == ("power", 60)
    usage = ask(served(), "/api/v1/usage?by=env&since=1000&until=2000").json
    assert (usage["by"], usage["since"], usage["rows"][0]["key"]) == ("env", 1000.0, "torch")
    bare = application(demo.DemoSource(), None)
    assert ask(bare, "/api/v1/usage").status == 404


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("history?metric=nothing", "metric is one of utilization, memory"),
        ("history?subject=day", "subject is one of gpu, user"),
        ("usage?by=%1b[31m", "not '\\x1b[31m'"),
        ("usage?since=x", "since is no number"),
        ("usage?since=nan", "since is no number"),
        ("usage?since=-1e300", "at most 400 days"),
        ("usage?since=5&until=4", "before until"),
        ("history?since=1e19&until=10000000000000004096", "between 1970 and 400 days from now"),
        ("usage?since=-1e19&until=-9.9999999999e18", "at most 400 days"),
        ("usage?since=-2e10&until=-19999999000", "between 1970"),
        ("history?points=inf", "points is no number"),
    ],
)
def test_wrong_questions_get_one_clear_answer(target: str, why: str) -> None:
    from urllib.parse import unquote

    answer = ask(served(), "/api/v1/" + unquote(target))
    assert answer.status == 400
    assert why in msgspec.json.decode(answer.body)["error"]


def test_few_ask_the_history_at_once_and_all_are_answered() -> None:
    class Slow(demo.DemoHistory):
        asking = most = 0

        def usage(self, by: Any, since: float, until: float) -> Any:
            self.asking += 1
            self.most = max(self.most, self.asking)
            time.sleep(0.02)
            self.asking -= 1
            return super().usage(by, since, until)

    history = Slow()
    made = application(demo.DemoSource(), history)

    async def many() -> list[int]:
        answers = await asyncio.gather(*(request(made, "/api/v1/usage") for _ in range(10)))
        return [each.status for each in answers]

    assert asyncio.run(living(made, many)) == [200] * 10
    assert history.most == 2


def test_who_has_gone_is_not_answered_and_few_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpudock.monitor.serve.MOST_WAITING", 3)
    asked: list[float] = []

    class Slow(demo.DemoHistory):
        def usage(self, by: Any, since: float, until: float) -> Any:
            asked.append(until)
            time.sleep(0.05)
            return super().usage(by, since, until)

    made = application(demo.DemoSource(), Slow())

    async def many() -> list[int]:
        answers = await asyncio.gather(*(request(made, "/api/v1/usage", left=place in {2, 3}) for place in range(8)))
        return [each.status for each in answers]

    assert asyncio.run(living(made, many)) == [200] * 5 + [503] * 3
    assert len(asked) == 3  # two at once, and of the three that waited the one that is still there


def test_families_that_are_not_there_are_no_empty_answer() -> None:
    source = demo.DemoSource()
    made = application(source, None, exposition=Exposition(source, Tally()))
    assert ask(made, "/metrics?families=gpudock,dcgm").status == 200
    answer = ask(made, "/metrics?families=gpudock,dcmg")
    assert (answer.status, answer.body) == (400, b"families are gpudock, dcgm, nvidia_smi, not dcmg\n")


def test_pages_are_added_and_hide_nothing() -> None:
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def page(_: object) -> PlainTextResponse:
        return PlainTextResponse("page")

    made = application(demo.DemoSource(), None, [Route("/", page), Route("/api/v1/sample", page)])
    assert ask(made, "/").body == b"page"
    assert ask(made, "/api/v1/sample").headers["content-type"] == "application/json"
    assert ask(made, "/nowhere").status == 404
    assert ask(made, "/", method="POST").status == 405


def test_the_number_of_listeners_is_bounded_and_who_leaves_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpudock.monitor.serve.MOST_LISTENERS", 1)
    made = served()

    async def two_and_one() -> tuple[int, int]:
        first = asyncio.ensure_future(request(made, "/api/v1/events", enough=100_000))
        await asyncio.sleep(0.1)
        second = await request(made, "/api/v1/events", enough=10)
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first
        await asyncio.sleep(0.05)
        third = await request(made, "/api/v1/events", enough=10)
        return second.status, third.status

    assert asyncio.run(living(made, two_and_one)) == (503, 200)
