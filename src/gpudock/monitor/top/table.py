"""The table of processes: only the lines that are seen are drawn, so two hundred processes cost what twenty do."""

from typing import ClassVar, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from gpudock.monitor.top.view import Row, Wanted


class Column(NamedTuple):
    title: str
    field: str
    width: int  # 0: what is left
    right: bool = False
    since: int = 0  # the width of the table from which on it is shown


_COLUMNS = (
    Column("", "name", 0),
    Column("PERSON", "person", 12),
    Column("GPU", "gpus", 8),
    Column("GPU MEM", "memory", 9, right=True),
    Column("UTIL", "utilization", 7, right=True),
    Column("CPU", "cpu", 5, right=True, since=96),
    Column("MEMORY", "host_memory", 13, right=True, since=112),
    Column("RUNNING", "time", 12, right=True, since=76),
)


class Table(ScrollView, can_focus=True):
    """Rows with a cursor that stays on its row while others come and go."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"table--title", "table--heading", "table--cursor", "table--quiet"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "move(-1000000)", show=False),
        Binding("end", "move(1000000)", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(id="table")
        self.rows: tuple[Row, ...] = ()
        self.wanted = Wanted()
        self.nothing = ""  # what stands there instead of rows
        self._cursor = 0

    @property
    def current(self) -> Row | None:
        return self.rows[self._cursor] if self.rows else None

    @property
    def _width(self) -> int:
        return self.scrollable_content_region.width

    def fill(self, rows: tuple[Row, ...], wanted: Wanted, nothing: str) -> None:
        shown = (self.rows, self.wanted, self.nothing, self.virtual_size.width)
        if (rows, wanted, nothing, self._width) == shown:
            return
        key = self.current.key if self.current else None
        self.rows = rows
        self.wanted = wanted
        self.nothing = nothing
        here = next((place for place, row in enumerate(rows) if row.key == key), None)
        self._cursor = min(self._cursor, max(len(rows) - 1, 0)) if here is None else here
        self.virtual_size = Size(self._width, len(rows) + 1)
        self.refresh()

    def action_move(self, steps: int) -> None:
        self._cursor = max(0, min(len(self.rows) - 1, self._cursor + steps))
        # The titles stay where they are, and cover a line.
        self.scroll_to_region(Region(0, self._cursor, 1, 2), animate=False, force=True)
        self.refresh()

    def action_page(self, direction: int) -> None:
        self.action_move(direction * max(1, self.size.height - 2))

    def on_click(self, event: Click) -> None:
        row = event.y - 1 + round(self.scroll_offset.y)
        if event.y >= 1 and 0 <= row < len(self.rows):
            self._cursor = row
            self.refresh()

    def render_line(self, y: int) -> Strip:
        base = self.rich_style
        if y == 0:
            return self._strip(self._titles(), base + self.get_component_rich_style("table--title"))
        if not self.rows:
            text = self.nothing if y == 1 else ""
            style = base + self.get_component_rich_style("table--quiet")
            return Strip([Segment(set_cell_size(f" {text}", self._width), style)])
        place = y - 1 + round(self.scroll_offset.y)
        if place >= len(self.rows):
            return Strip.blank(self._width, base)
        row = self.rows[place]
        style = base + self.get_component_rich_style("table--heading") if row.heading else base
        if place == self._cursor and self.has_focus:
            style += self.get_component_rich_style("table--cursor")
        texts = [getattr(row, column.field) for column in self._columns()]
        texts[0] = texts[0] if row.heading else f"  {texts[0]}"
        return self._strip(texts, style)

    def _columns(self) -> tuple[Column, ...]:
        """Those that have room; persons need no column of their own under their headings."""
        without = "person" if self.wanted.group == "person" else ""
        return tuple(each for each in _COLUMNS if self._width >= each.since and each.field != without)

    def _titles(self) -> list[str]:
        """What is sorted by is marked, and the first title says how the lines are grouped."""
        first = {"container": "CONTAINER", "person": "PERSON", "none": "PROCESS"}[self.wanted.group]
        mark = "▴" if self.wanted.reverse else "▾"
        by = self.wanted.sort
        return [(each.title or first) + (f" {mark}" if each.field == by else "") for each in self._columns()]

    def _strip(self, texts: list[str], style: Style) -> Strip:
        columns = self._columns()
        left = self._width - sum(column.width + 1 for column in columns) - 1  # a blank at either end
        pairs = zip(texts, columns, strict=True)
        cells = [_cell(text, column.width or left, right=column.right) for text, column in pairs]
        return Strip([Segment(set_cell_size(" " + " ".join(cells), self._width), style)])


def _cell(text: str, width: int, *, right: bool) -> str:
    if cell_len(text) > width:
        return set_cell_size(text, max(0, width - 1)) + "…"
    return " " * (width - cell_len(text)) + text if right else set_cell_size(text, width)
