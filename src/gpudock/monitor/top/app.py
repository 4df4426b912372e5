"""The program: looks at the newest sample twice a second and draws what changed."""

import signal
from collections import deque
from typing import ClassVar, TypeVar

from msgspec.structs import replace
from rich.text import Text
from textual import work
from textual.app import App, ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.events import Key, Resize
from textual.widget import Widget
from textual.widgets import Input, Static

from gpudock import proc
from gpudock.errors import GpudockError
from gpudock.facts.base import Missing
from gpudock.monitor import words
from gpudock.monitor.sample import Container, Sample
from gpudock.monitor.source import Source
from gpudock.monitor.top import act, panel, view
from gpudock.monitor.top.screens import Help, Question
from gpudock.monitor.top.table import Table
from gpudock.plan.quote import quote

_T = TypeVar("_T")
_Widget = TypeVar("_Widget", bound=Widget)
LOOK = 0.5  # seconds
READ = 8.0  # seconds that a message stays
REMEMBERED = 60  # samples, for the small lines
# Blue and orange: told apart by colour-blind people, and in 256 colours. Signs and words say the same.
_STYLES = {
    "load": "#5aa9e6",
    "memory": "#c792d9",
    "track": "#3a414b",
    "quiet": "#8f969f",
    "warn": "#e6a52b",
    "bad": "bold #ff8a4d",
    "strong": "bold",
    "person": "bold",
}
_KEYS = "? help  g group  s sort  / filter  f follow  l logs  x stop  q quit"


class Top(App[None]):
    TITLE = "gpudock top"
    ENABLE_COMMAND_PALETTE = False
    CSS_PATH = "style.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit"),
        Binding("question_mark", "help"),
        Binding("g", "group"),
        Binding("s", "sort"),
        Binding("r", "reverse"),
        Binding("slash", "filter"),
        Binding("f,enter", "follow"),
        Binding("escape", "all"),
        Binding("p", "pause"),
        Binding("l", "logs"),
        Binding("x", "stop"),
    ]

    def __init__(self, source: Source, me: act.Person, run: proc.Runner = proc.run) -> None:
        super().__init__()
        self._source = source
        self._me = me
        self._run = run
        self._sample = source.latest()
        self._wanted = view.Wanted()
        self._paused = False
        self._message = ""
        self._opening = False  # the filter is shown and does not get the keys yet
        self._before: dict[str, deque[float | None]] = {}
        self._remember(self._sample)

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        with VerticalScroll(id="gpus", can_focus=False):
            yield Static(id="lines")
        yield Static(id="said", classes="none", markup=False)
        yield Table()
        yield Input(placeholder="person, container, program, PID", id="filter", select_on_focus=False)
        yield Static(id="foot", markup=False)

    def on_mount(self) -> None:
        self._part("#table", Table).focus()
        self.draw()
        self.set_interval(LOOK, self.look)

    @property
    def _there(self) -> bool:
        """Not at the very beginning and at the end, when timers still run and there is nothing to draw on."""
        return bool(self.screen_stack) and bool(self.screen_stack[0].query("#foot"))

    def _part(self, selector: str, kind: type[_Widget]) -> _Widget:
        """Of the main screen, also while help or a question lies over it."""
        return self.screen_stack[0].query_one(selector, kind)

    def on_resize(self, _: Resize) -> None:
        self.call_after_refresh(self.draw)

    def look(self) -> None:
        """Takes the newest sample; of the same one only the age is news."""
        newest = self._source.latest()
        if not self._there:
            return
        if self._paused:
            newest = replace(self._sample, age=newest.time + newest.age - self._sample.time)
        same = newest.number == self._sample.number
        self._sample = newest
        if same:
            self._part("#head", Static).update(self._head())
            return
        self._remember(newest)
        self.draw()

    def _remember(self, sample: Sample) -> None:
        for gpu in () if isinstance(sample.gpus, Missing) else sample.gpus:
            busy = gpu.load
            last = self._before.setdefault(gpu.uuid, deque(maxlen=REMEMBERED))
            last.append(None if isinstance(busy, Missing) else busy / 100)

    def draw(self) -> None:
        if not self._there:
            return
        self._part("#head", Static).update(self._head())
        lines = panel.lines(
            self._sample, {key: [*last] for key, last in self._before.items()}, self.size.width - 2, self._wanted.follow
        )
        self._part("#lines", Static).update(Text("\n").join(_text(line) for line in lines))
        self._say()
        self._part("#table", Table).fill(
            view.rows(self._sample, self._wanted), self._wanted, view.nothing(self._sample, self._wanted)
        )
        self._part("#foot", Static).update(self._foot())

    def _head(self) -> Text:
        sample = self._sample
        driver, cuda = (words.UNKNOWN if isinstance(each, Missing) else each for each in (sample.driver, sample.cuda))
        state = "paused" if self._paused else "OLD DATA" if sample.stale else "live"
        right = f"{state}, {words.span(sample.age)} ago"
        left = Text(f"gpudock top · {quote(sample.host)}  ", style="bold", no_wrap=True)
        left.append(f"driver {quote(driver)} · CUDA {quote(cuda)}  ", style="not bold #a9b4bf")
        if sample.simulated:
            left.append("SIMULATED", style=_STYLES["warn"])
        left.truncate(max(0, self.size.width - len(right) - 3), overflow="ellipsis", pad=True)
        warn = self._paused or sample.stale
        return left + Text(" " + right, style=_STYLES["bad"] if warn else "not bold #a9b4bf")

    def _say(self) -> None:
        said = [quote(each, 300) for each in self._sample.problems]
        said += [self._message] if self._message else []
        box = self._part("#said", Static)
        box.set_class(not said, "none")
        box.update("\n".join(said))

    def _foot(self) -> str:
        wanted = self._wanted
        kept = []
        if wanted.follow:
            follow = self._sample.container(wanted.follow)
            kept.append(f"only {quote(follow.label if follow else wanted.follow[:12], 24)}")
        if wanted.filter:
            kept.append(f"filter “{quote(wanted.filter, 24)}”")
        return f"{' · '.join(kept)} · Esc back  ? help  q quit" if kept else _KEYS

    def _want(self, wanted: view.Wanted) -> None:
        self._wanted = wanted
        self.draw()

    def action_help(self) -> None:
        self.push_screen(Help())

    def action_group(self) -> None:
        self._want(self._wanted._replace(group=_next(view.GROUPS, self._wanted.group)))

    def action_sort(self) -> None:
        self._want(self._wanted._replace(sort=_next(view.SORTS, self._wanted.sort)))

    def action_reverse(self) -> None:
        self._want(self._wanted._replace(reverse=not self._wanted.reverse))

    def action_pause(self) -> None:
        self._paused = not self._paused
        self.look()
        self.draw()

    def action_filter(self) -> None:
        box = self._part("#filter", Input)
        box.add_class("shown")
        self._opening = not box.has_focus
        box.focus()

    def on_descendant_focus(self) -> None:
        self._opening = False

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002  textual's
        """What is typed for the filter is no command, however fast it comes."""
        return action == "all" or not self._opening

    def on_key(self, event: Key) -> None:
        if self._opening and event.is_printable and event.character:
            box = self._part("#filter", Input)
            box.value += event.character
            box.cursor_position = len(box.value)
            event.stop()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._want(self._wanted._replace(filter=event.value.strip()))

    def on_input_submitted(self) -> None:
        self._part("#filter", Input).remove_class("shown")
        self._part("#table", Table).focus()

    def action_all(self) -> None:
        """One step: the filter first, then the container that is followed."""
        box = self._part("#filter", Input)
        if self._wanted.filter or box.has_class("shown"):
            box.remove_class("shown")
            box.value = ""
            self._part("#table", Table).focus()
        elif self._wanted.follow:
            self._want(self._wanted._replace(follow=""))

    def action_follow(self) -> None:
        row = self._part("#table", Table).current
        if row is not None and row.container:
            self._want(self._wanted._replace(follow=row.container))
        elif row is not None:
            self._tell("This line is no container's.")

    def _tell(self, what: str) -> None:
        """Until it was read, or something newer is to be told."""
        self._message = what
        self._say()
        self.set_timer(READ, lambda: self._forget(what))

    def _forget(self, what: str) -> None:
        if self._message == what and self._there:
            self._message = ""
            self._say()

    def action_logs(self) -> None:
        row = self._part("#table", Table).current
        try:
            argv = act.logs(act.chosen(self._sample, row.container if row else ""), self._me)
        except GpudockError as error:
            self._tell(str(error))
            return
        try:
            with self.suspend():
                _show_logs(argv)
        except SuspendNotSupported:
            self._tell(f"Logs need a terminal of their own here: {' '.join(argv)}")

    @work
    async def action_stop(self) -> None:
        row = self._part("#table", Table).current
        try:
            container = act.chosen(self._sample, row.container if row else "")
            act.stoppable(container, self._me)
        except GpudockError as error:
            self._tell(str(error))
            return
        what = f"Stop the container {quote(container.label)}?\n{quote(container.image)}"
        if await self.push_screen_wait(Question(what)):
            self._tell(f"{container.engine} stops {quote(container.label)} …")
            self._stop(container)

    @work(thread=True)
    def _stop(self, container: Container) -> None:
        try:
            act.stop(container, self._run)
        except GpudockError as error:
            self.call_from_thread(self._tell, str(error))


def _show_logs(argv: tuple[str, ...]) -> None:
    """Ctrl-C ends the engine's program and not this one: it does nothing here, and a child does not inherit that."""
    print(f"{' '.join(argv)}\nCtrl-C comes back to gpudock top.\n", flush=True)  # noqa: T201  the terminal is the engine's
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        if proc.attached(argv) not in {0, 128 + signal.SIGINT}:
            input("\nEnter comes back to gpudock top.")
    finally:
        signal.signal(signal.SIGINT, before)


def _next(all_: tuple[_T, ...], one: _T) -> _T:
    return all_[(all_.index(one) + 1) % len(all_)]


def _text(line: panel.Line) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    for piece in line:
        text.append(piece.text, style=_STYLES.get(piece.style, ""))
    return text
