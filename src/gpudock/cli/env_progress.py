"""A build as it goes on: drawn on a terminal, a line a step elsewhere, everything, or JSON."""

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gpudock.cli.terminal import safe

if TYPE_CHECKING:
    from gpudock.env.image.build import Reporter
    from gpudock.env.image.steps import Event


def reporter(progress: str, environment: Mapping[str, str]) -> "Reporter":
    """For --progress; the result's own output stays free of it."""
    if progress == "json":
        return _Json()
    if progress == "plain":
        return _Plain()
    drawn = progress == "tty" or (
        sys.stderr.isatty() and not environment.get("CI") and environment.get("TERM") != "dumb"
    )
    return _Drawn() if drawn else _Events(_line)


def _line(event: "Event") -> None:
    if event.state != "started":
        print(describe(event), file=sys.stderr, flush=True)


def describe(event: "Event") -> str:
    number = f"[{event.number}/{event.total}]" if event.total else f"[{event.number}]"
    what = {"cached": "cached", "failed": "failed", "started": "..."}.get(event.state, f"{event.seconds:.1f} s")
    return safe(f"{number:>7} {what:>7}  {event.text}")


def _json(event: "Event") -> None:
    print(json.dumps({**event._asdict(), "seconds": round(event.seconds, 3)}), file=sys.stderr, flush=True)


class _Events:
    """Shows what happened, and of a step that failed what it said last."""

    def __init__(self, told: "Callable[[Event], None]") -> None:
        from gpudock.env.image.steps import Steps

        self._steps = Steps(time.monotonic)
        self._told = told

    def heard(self, line: str) -> None:
        for event in self._steps.read(line):
            self._told(event)

    def finished(self, code: int) -> None:
        for event in self._steps.finish(code):
            self._told(event)
        for line in self._steps.tail if code else ():
            self._said(line)

    def _said(self, line: str) -> None:
        print(safe(f"        {line}"), file=sys.stderr)


class _Json(_Events):
    def __init__(self) -> None:
        super().__init__(_json)

    def _said(self, line: str) -> None:
        print(json.dumps({"state": "said", "text": line}), file=sys.stderr)


class _Plain(_Events):
    """All that the engine says, and the steps' times."""

    def __init__(self) -> None:
        super().__init__(_line)

    def heard(self, line: str) -> None:
        print(safe(line), file=sys.stderr, flush=True)
        super().heard(line)

    def finished(self, code: int) -> None:
        for event in self._steps.finish(code):
            self._told(event)


class _Drawn(_Events):
    """Steps that are done, and the running one with its clock."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("  "), SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(),
            console=self._console, transient=True,
        )  # fmt: skip
        super().__init__(self._draw)

    def _draw(self, event: "Event") -> None:
        from rich.markup import escape
        from rich.text import Text

        for task in self._progress.task_ids:
            self._progress.remove_task(task)
        if event.state == "started":
            self._progress.start()
            number = f"[{event.number}/{event.total}]" if event.total else f"[{event.number}]"
            self._progress.add_task(escape(safe(f"{number} {event.text}")))
            return
        style = {"cached": "dim", "failed": "bold red"}.get(event.state, "green")
        self._progress.refresh()
        self._console.print(Text(describe(event), style=style, overflow="ellipsis", no_wrap=True))

    def finished(self, code: int) -> None:
        self._progress.stop()
        super().finished(code)
