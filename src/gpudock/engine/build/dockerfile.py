"""A Dockerfile as its instructions: where each stands, and which RUN steps are marked. Pure.

Nothing is evaluated: what variables mean, the engine says. Text that is not rewritten stays byte for byte what it was.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from gpudock.errors import InputError
from gpudock.plan.quote import quote

LIMIT = 4 << 20  # bytes of a Dockerfile
MARK = "# gpudock: gpu"
_MEND = f'write the line "{MARK}" right before the RUN step that needs GPUs'
_DIRECTIVE = re.compile(r"^\s*#\s*([a-z]+)\s*=\s*(.*?)\s*$", re.IGNORECASE)
_MARKER = re.compile(r"^\s*#\s*gpudock\s*:\s*(.*?)\s*$", re.IGNORECASE)
_HEREDOC = re.compile(r"(?:^|\s)\d*<<(-?)([\"']?)([A-Za-z_][A-Za-z0-9_]*)\2(?=$|[\s;&|)>])")
_WITH_HEREDOC = ("RUN", "COPY", "ADD")


class Heredoc(NamedTuple):
    name: str
    tabs: bool  # <<- : leading tabs do not count
    body: tuple[str, ...]


class Instruction(NamedTuple):
    keyword: str  # upper case
    line: int  # of its first line, from 1
    raw: str  # as it stands in the file, heredocs with it
    arguments: str  # after the keyword, continued lines joined
    heredocs: tuple[Heredoc, ...] = ()
    marked: bool = False


class Dockerfile(NamedTuple):
    name: str  # for messages
    directives: dict[str, str]
    head: tuple[str, ...]  # the lines of the directives
    instructions: tuple[Instruction, ...]

    def text(self, end: int | None = None) -> str:
        """The file again, up to an instruction."""
        return "\n".join((*self.head, *(each.raw for each in self.instructions[:end]), ""))


def parse(text: str, name: str) -> Dockerfile:
    """Raises InputError, naming the line."""
    lines = [line.rstrip("\r") for line in text.removeprefix("\ufeff").split("\n")]
    directives: dict[str, str] = {}
    for line in lines:
        found = _DIRECTIVE.match(line)
        if found is None or found[1].lower() not in {"syntax", "escape", "check"}:
            break
        directives[found[1].lower()] = found[2]
    first = len(directives)
    reader = _Reader(lines, first, directives.get("escape", "\\"), name)
    return Dockerfile(name, directives, tuple(lines[:first]), tuple(reader.instructions()))


class _Reader:
    def __init__(self, lines: list[str], first: int, escape: str, name: str) -> None:
        self.lines = lines
        self.position = first
        self.continued = re.compile(re.escape(escape) + r"[ \t]*$")
        self.name = name

    def instructions(self) -> Iterator[Instruction]:
        marker = 0  # line of the marker that waits for its step
        while self.position < len(self.lines):
            line = self.lines[self.position]
            if not line.strip() or line.lstrip().startswith("#"):
                self.position += 1
                marker = self._marker(line, marker)
                continue
            found = self._instruction()
            if marker and found.keyword != "RUN":
                raise self._error(found.line, f'"{MARK}" marks RUN steps, and {quote(found.keyword)} is none')
            yield found._replace(marked=bool(marker))
            marker = 0
        if marker:
            raise self._error(marker, f'no RUN step follows "{MARK}"')

    def _marker(self, line: str, before: int) -> int:
        found = _MARKER.match(line)
        if found is None:
            return before
        if found[1].lower() != "gpu":
            raise self._error(self.position, f'{quote(found[1])} is not known here, only "{MARK}" is')
        return self.position

    def _instruction(self) -> Instruction:
        start = self.position
        logical = ""
        while self.position < len(self.lines):
            line = self.lines[self.position]
            self.position += 1
            if logical and line.lstrip().startswith("#"):  # a comment among continued lines does not end them
                continue
            ending = self.continued.search(line)
            logical += line[: ending.start()] if ending else line
            if ending is None and (line.strip() or not logical):
                break
        keyword, _, arguments = logical.strip().partition(" ")
        keyword, tab, more = keyword.partition("\t")
        arguments = (more + " " + arguments if tab else arguments).strip()
        heredocs = tuple(self._heredocs(arguments, start + 1)) if keyword.upper() in _WITH_HEREDOC else ()
        raw = "\n".join(self.lines[start : self.position])
        return Instruction(keyword.upper(), start + 1, raw, arguments, heredocs)

    def _heredocs(self, arguments: str, line: int) -> Iterator[Heredoc]:
        for found in _HEREDOC.finditer(arguments):
            tabs, name = found[1] == "-", found[3]
            start = self.position
            while self.position < len(self.lines):
                text = self.lines[self.position]
                self.position += 1
                if (text.lstrip("\t") if tabs else text) == name:
                    body = self.lines[start : self.position - 1]
                    yield Heredoc(name, tabs, tuple(each.lstrip("\t") if tabs else each for each in body))
                    break
            else:
                why = f"the text that <<{name} begins is not ended by a line {name}"
                raise self._error(line, why, f"end it with a line {name}")

    def _error(self, line: int, why: str, mend: str = _MEND) -> InputError:
        return InputError(f"{quote(self.name)}, line {line} cannot be understood.", why=why, mend=mend)
