"""The program by its keys, and its screen as text at several sizes (tests/data/top)."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.events import Key
from textual.pilot import Pilot
from textual.widgets import Input

from gpudock.facts.base import Missing
from gpudock.monitor.sample import Sample
from gpudock.monitor.top import act
from gpudock.monitor.top.app import Top
from gpudock.monitor.top.table import Table
from gpudock.proc import Command, Result
from unit.monitor import demo
from unit.monitor.top import screen

DATA = Path(__file__).parents[3] / "data" / "top"
ALICE = act.Person(1000, "alice")


class Changed(demo.DemoSource):
    """The demo machine with other fields in each of its samples."""

    def __init__(self, **changed: object) -> None:
        super().__init__()
        self.changed = changed

    def latest(self) -> Sample:
        return replace(super().latest(), **self.changed)


def shown(
    work: Callable[[Pilot[None], Top], Awaitable[None]] | None = None,
    *keys: str,
    size: tuple[int, int] = (80, 24),
    source: demo.DemoSource | None = None,
    run: Callable[[Command], Result] = lambda _: Result(0, "", ""),
) -> str:
    """The screen after these keys and whatever `work` does."""

    async def look() -> str:
        app = Top(source or demo.DemoSource(), ALICE, run)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await pilot.press(*keys)
            if work:
                await work(pilot, app)
            await pilot.pause()
            return screen.text(app)

    return asyncio.run(look())


@pytest.mark.parametrize(
    ("name", "size", "keys"),
    [
        ("80x24", (80, 24), ()),
        ("120x30", (120, 30), ()),
        ("160x40", (160, 40), ()),
        ("person", (80, 24), ("g",)),
        ("help", (80, 24), ("question_mark",)),
        ("follow", (100, 24), ("down", "down", "f")),
    ],
)
def test_screens(name: str, size: tuple[int, int], keys: tuple[str, ...]) -> None:
    assert shown(None, *keys, size=size) == (DATA / f"{name}.txt").read_text()


def test_nothing_is_wider_than_the_screen() -> None:
    async def work(pilot: Pilot[None], app: Top) -> None:
        for width in (93, 111, 131, 80):
            await pilot.resize_terminal(width, 24)
            await pilot.pause()
            assert max(len(line) for line in screen.text(app).splitlines()) <= width

    shown(work)


def test_it_fits_when_the_terminal_changes() -> None:
    async def work(pilot: Pilot[None], _: Top) -> None:
        await pilot.resize_terminal(120, 30)
        await pilot.pause()

    assert shown(work, size=(80, 24)) == (DATA / "120x30.txt").read_text()


def test_new_samples_are_drawn_and_pause_holds_them() -> None:
    source = demo.DemoSource()

    async def work(_: Pilot[None], app: Top) -> None:
        source.step(1)
        app.look()

    assert " 80 %" in shown(work, source=source)
    source.tick = 0
    paused = shown(work, "p", source=source)
    assert " 73 %" in paused
    assert "paused" in paused


def test_what_is_paused_grows_old() -> None:
    source = demo.DemoSource()

    async def work(pilot: Pilot[None], app: Top) -> None:
        await pilot.press("p")
        source.step(95)
        app.look()

    found = shown(work, source=source)
    assert "paused, 1 min ago" in found
    assert " 73 %" in found


def test_a_container_that_is_followed_and_ends_is_not_an_empty_machine() -> None:
    source = Changed()

    async def work(pilot: Pilot[None], app: Top) -> None:
        await pilot.press("f")
        sample = demo.sample()
        source.changed = {"number": 2, "processes": tuple(each for each in sample.processes if each.container != demo.TRAINING), "containers": sample.containers[1:]}  # fmt: skip
        app.look()

    found = shown(work, "down", source=source)
    assert "This container is on no GPU any more: Esc goes back." in found


def test_the_cursor_stays_on_its_row_when_the_order_changes() -> None:
    async def work(pilot: Pilot[None], app: Top) -> None:
        table = app.query_one(Table)
        assert table.current is not None
        before = table.current.key
        await pilot.press("r", "g", "g")
        assert table.current.key == before

    shown(work, "down", "down", "down")


def test_filter_follow_and_back() -> None:
    async def work(pilot: Pilot[None], app: Top) -> None:
        await pilot.press("slash", *"bob", "enter")
        assert [row.name for row in app.query_one(Table).rows] == ["training", "5151 python3"]
        assert "filter “bob”" in screen.text(app)
        await pilot.press("f", "escape")
        assert len(app.query_one(Table).rows) == 2  # the filter is gone, the container is still followed
        assert "only training" in screen.text(app)
        await pilot.press("escape")
        assert len(app.query_one(Table).rows) == 7

    shown(work)


def test_what_is_typed_for_the_filter_at_once_is_no_command() -> None:
    """As it comes over a slow line, or pasted: the filter is shown and the table still has the keys."""
    stopped: list[Command] = []

    def run(command: Command) -> Result:
        stopped.append(command)
        return Result(0, "", "")

    async def work(pilot: Pilot[None], app: Top) -> None:
        for key, character in (("slash", "/"), *((each, each) for each in "xqy")):
            app.post_message(Key(key, character))
        await pilot.pause()
        await pilot.press("l")
        assert app.query_one("#filter", Input).value == "xqyl"
        assert len(app.screen_stack) == 1
        await pilot.press("escape")
        assert len(app.query_one(Table).rows) == 7

    shown(work, run=run)
    assert stopped == []


def test_keys_are_commands_again_when_the_filter_has_lost_them() -> None:
    async def work(pilot: Pilot[None], app: Top) -> None:
        await pilot.press("slash", *"python", "tab", "g")
        assert (app._wanted.filter, app._wanted.group) == ("python", "person")
        await pilot.press("slash", "x")
        assert app._wanted.filter == "pythonx"

    shown(work)


def test_nothing_matches() -> None:
    assert "Nothing matches the filter." in shown(None, "slash", *"zzz", "enter")


def test_click_chooses_a_row() -> None:
    async def work(pilot: Pilot[None], app: Top) -> None:
        await pilot.click(Table, offset=(5, 3))
        current = app.query_one(Table).current
        assert current is not None
        assert current.name == "alice-jupyter"

    shown(work)


def test_stop_asks_and_only_y_is_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(act, "_words", lambda _: ("docker",))

    def run(command: Command) -> Result:
        asked.append(command.argv)
        return Result(0, "", "")

    async def work(pilot: Pilot[None], app: Top) -> None:
        await pilot.press("down", "down")  # alice's own
        for answer in ("n", "enter", "escape", "q", "y"):
            assert asked == []
            await pilot.press("x")
            await pilot.pause()
            assert "Stop the container alice-jupyter?" in screen.text(app)
            await pilot.press(answer)
            await app.workers.wait_for_complete()

    shown(work, run=run)
    assert asked == [("docker", "stop", "--", demo.JUPYTER)]


def test_what_belongs_to_others_is_not_even_asked_about() -> None:
    def run(command: Command) -> Result:
        pytest.fail(f"ran {command}")

    found = shown(None, "x", size=(120, 30), run=run)
    assert "training belongs to bob" in found
    assert "Stop the container" not in found


def test_an_engine_that_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(act, "_words", lambda _: ("docker",))

    async def work(pilot: Pilot[None], app: Top) -> None:
        await pilot.press("x")
        await pilot.pause()
        await pilot.press("y")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert "did not stop alice-jupyter" in screen.text(app)

    shown(work, "down", "down", size=(120, 30), run=lambda _: Result(1, "", "permission denied"))


def test_samples_and_messages_come_while_help_is_open() -> None:
    source = demo.DemoSource()

    async def work(pilot: Pilot[None], app: Top) -> None:
        await pilot.press("end", "l", "question_mark")
        await pilot.pause()
        app._forget(app._message)
        for _ in range(2):
            source.step()
            app.look()
            app.look()
        await pilot.press("escape")

    assert " 87 %" in shown(work, source=source)


def test_logs_need_a_container() -> None:
    found = shown(None, "end", "l", size=(120, 30))
    assert "No engine that can be asked here has the container c3c3c3c3c3c3." in found


def test_old_data_problems_and_missing_gpus_are_said() -> None:
    old = Changed(age=14.0, problems=("the driver hangs", "podman: no answer"))
    found = shown(source=old)
    assert "OLD DATA, 14 s ago" in found
    assert "the driver hangs" in found
    assert "podman: no answer" in found
    none = shown(source=Changed(gpus=Missing("no driver"), processes=(), containers=(), people=()))
    assert "No GPU can be shown: no driver" in none
    assert "Who uses the GPUs is not known." in none


def test_simulated_is_said() -> None:
    assert "SIMULATED" not in shown()
    assert "SIMULATED" in shown(source=Changed(simulated=True))
