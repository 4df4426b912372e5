"""A check of the doctor's as a value, and what it finds."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from gpudock.facts.snapshot import Snapshot

ERROR, WARNING, NOTE = "error", "warning", "note"  # GPUs do not work | will not, or slowly, or unsafely | worth to know
SEVERITIES = (ERROR, WARNING, NOTE)


class Seen(NamedTuple):
    """What a look saw. `fix` and `severity` stand where this machine needs others than the check's own."""

    evidence: str
    fix: tuple[str, ...] = ()
    severity: str = ""


class Mend(NamedTuple):
    """A safe way to mend it: a command that harms nothing that works."""

    argv: tuple[str, ...]
    does: str  # what it does, for people
    undo: str  # how to take it back, or that it cannot be and why that does no harm


Look = Callable[[Snapshot], "Iterator[Seen | str]"]
Mending = Callable[[Snapshot], "Iterator[Mend]"]


class Check(NamedTuple):
    id: str
    severity: str
    title: str
    cause: str
    fix: tuple[str, ...]  # commands; a line that begins with "#" is for people
    messages: tuple[str, ...]  # what people see, and search for
    references: tuple[str, ...]  # "owner/repo#number", or an address
    look: Look
    mend: Mending | None = None


class Finding(NamedTuple):
    check: Check
    severity: str
    evidence: tuple[str, ...]
    fix: tuple[str, ...]


def check(
    place: "list[Check]",
    name: str,
    severity: str,
    title: str,
    *,
    cause: str,
    fix: tuple[str, ...],
    messages: tuple[str, ...] = (),
    references: tuple[str, ...] = (),
    mend: Mending | None = None,
) -> Callable[[Look], Look]:
    """Puts a function of the snapshot, with its words, into the list of its subject."""

    def listed(look: Look) -> Look:
        place.append(Check(name, severity, title, cause, fix, messages, references, look, mend))
        return look

    return listed


def found(each: Check, machine: Snapshot) -> Iterator[Finding]:
    """At most one finding a severity and fix: its evidence together."""
    grouped: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for item in each.look(machine):
        seen = Seen(item) if isinstance(item, str) else item
        grouped.setdefault((seen.severity or each.severity, seen.fix or each.fix), []).append(seen.evidence)
    for (severity, fix), evidence in grouped.items():
        yield Finding(each, severity, tuple(dict.fromkeys(evidence)), fix)
