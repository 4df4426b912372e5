"""What lies over the table for a moment: help, and a question before a container is stopped."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

HELP = """\
[b]Keys[/b]
 ↑ ↓ PgUp PgDn Home End    move
 g   group by container, by person, or not at all
 s   sort by memory, utilization, name or time;  r  the other way round
 /   filter: Enter keeps it, Esc drops it
 f   follow a container, also Enter;  Esc  back to all
 l   logs of the container
 x   stop the container, after a question: only one's own
 p   pause;  q  quit

[b]Signs[/b]
 ●   a process is on the GPU      ◐   held, but idle for five minutes
 ○   free                         ?   could not be read
 !   close to its temperature limit

The lines are utilization, its last minute, and memory. UTIL of a
process is its share of the multiprocessors; of a container or a person
it is added up: 200 % are two whole GPUs.
"""


class Help(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "dismiss", show=False)]

    def compose(self) -> ComposeResult:
        yield Vertical(Static(HELP), classes="box")


class Question(ModalScreen[bool]):
    """Yes only by the letter y: Enter is pressed too easily."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", show=False),
        Binding("n,escape,q,enter", "answer(False)", show=False),
    ]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        yield Vertical(Static(self._text, markup=False), Static("\n y  yes      n  no", markup=False), classes="box")

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)
