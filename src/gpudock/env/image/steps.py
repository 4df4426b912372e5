"""What an engine says while it builds, as steps: of docker's classic builder, BuildKit (plain) and podman. Pure."""

import re
from collections.abc import Callable
from typing import NamedTuple

_CLASSIC = re.compile(r"^(?:Step|STEP) (\d+)(?:/(\d+))? ?: (.*)$")
_BUILDKIT = re.compile(r"^#(\d+) (?:\[[^\]]*?(\d+)/(\d+)\] (.*)|(CACHED)|DONE ([\d.]+)s|(ERROR).*|[\d.]+ (.*))$")
_CACHED = re.compile(r"^ *-+> Using cache")
_NOISE = re.compile(r"^( *-+> |Removing intermediate|Sending build context|COMMIT |DEPRECATED|Successfully|-->|#\d+ )")
STARTED, CACHED, DONE, FAILED = "started", "cached", "done", "failed"


class Event(NamedTuple):
    state: str
    number: int
    total: int  # 0: not told
    text: str
    seconds: float = 0.0


class Steps:
    """Reads lines, and gives what happened. A step ends when the next one begins, where the engine does not say it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._now: Event | None = None
        self._since = 0.0
        self._cached = False
        self._vertices: dict[str, Event] = {}
        self.tail: list[str] = []  # what the running step said last

    def read(self, line: str) -> list[Event]:
        classic = _CLASSIC.match(line)
        if classic:
            return [*self._end(), self._begin(int(classic[1]), int(classic[2] or 0), classic[3])]
        if _CACHED.match(line):
            self._cached = True
            return []
        vertex = _BUILDKIT.match(line)
        if vertex:
            return self._buildkit(vertex)
        if line.strip() and not _NOISE.match(line):
            self.tail = [*self.tail[-29:], line]
        return []

    def finish(self, code: int) -> list[Event]:
        """The last step's end."""
        if code and self._now:
            return [self._now._replace(state=FAILED, seconds=self._clock() - self._since)]
        return self._end()

    def _begin(self, number: int, total: int, text: str) -> Event:
        self._now, self._since, self._cached, self.tail = (
            Event(STARTED, number, total, title(text)),
            self._clock(),
            False,
            [],
        )
        return self._now

    def _end(self) -> list[Event]:
        if self._now is None:
            return []
        ended = self._now._replace(state=CACHED if self._cached else DONE, seconds=self._clock() - self._since)
        self._now = None
        return [ended]

    def _buildkit(self, found: re.Match[str]) -> list[Event]:
        vertex, number, total, text, cached, seconds, error, said = found.groups()
        if text is not None:
            if vertex not in self._vertices:
                self._vertices[vertex] = self._begin(int(number), int(total), text)
                return [self._vertices[vertex]]
            return []
        known = self._vertices.get(vertex)
        if said is not None:
            self.tail = [*self.tail[-29:], said]
        if known is None or not (cached or seconds or error):
            return []
        self._now = known if error else None
        return [] if error else [known._replace(state=CACHED if cached else DONE, seconds=float(seconds or 0))]


def title(text: str) -> str:
    """A step on one line, by what it does where gpudock wrote it."""
    line = " ".join(text.split())
    for start, called in (
        ("RUN --mount=type=cache,target=/var/cache/apt", "system packages"),
        ("RUN export DEBIAN_FRONTEND", "system packages"),
        ("RUN --mount=type=cache,target=/root/.cache/pip", "Python packages"),
        ("RUN python3 -m venv", "Python packages"),
        ('RUN node="$(echo', "VS Code's server"),
        ("LABEL gpudock.", "labels"),
        ('LABEL "gpudock.', "labels"),
        ("RUN code-server --ext", "VS Code's extensions"),
    ):
        if line.startswith(start):
            return called
    return line if len(line) <= 72 else line[:69] + "..."
