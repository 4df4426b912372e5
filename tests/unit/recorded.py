"""Stand-ins for the machine: folders filled from text, a recorded runner, and device nodes out of an `ls -l` listing."""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

from gpudock.host.root import Root
from gpudock.proc import NOT_FOUND, Command, Result

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LISTED = re.compile(
    r"c(?P<mode>[rwx-]{9})\s+\d+ (?P<uid>\S+) (?P<gid>\S+)\s+(?P<major>\d+),\s*(?P<minor>\d+) .* (?P<name>\S+)"
)
IDS = {"root": 0, "video": 44, "render": 109}


def fill(folder: Path, files: Mapping[str, str | bytes], links: Mapping[str, str] | None = None) -> Root:
    """Make files (path inside the root -> content) and links (path -> target)."""
    for path, content in files.items():
        place = folder / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
    for path, target in (links or {}).items():
        place = folder / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)
    return Root(str(folder))


def sections(text: str) -> dict[str, str]:
    """Files that were recorded one behind the other, each under a line "--- PATH"."""
    parts = re.split(r"^--- (\S+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


class Recorder:
    """A runner that answers from a table of (program, first argument) and remembers what it was asked."""

    def __init__(self, answers: Mapping[tuple[str, ...], Result | str]) -> None:
        self.answers = answers
        self.asked: list[Command] = []

    def __call__(self, command: Command) -> Result:
        self.asked.append(command)
        argv = (os.path.basename(command.argv[0]), *command.argv[1:])
        for start, answer in self.answers.items():
            if argv[: len(start)] == start:
                return Result(0, answer, "") if isinstance(answer, str) else answer
        return Result(NOT_FOUND, "", f"{command.argv[0]}: No such file or directory")


class ListedDevices(Root):
    """A /dev that is only a listing (`ls -lR`), so that nobody has to be root to have device nodes."""

    def __init__(self, listing: str, folder: str = "/") -> None:
        super().__init__(folder)
        self.nodes: dict[str, os.stat_result] = {}
        place = ""
        for line in listing.splitlines():
            place = line[:-1] if line.startswith("/") else place
            match = LISTED.match(line)
            if match:
                self.nodes[f"{place}/{match['name']}"] = _stat(match)

    def names(self, folder: str) -> list[str]:
        return sorted(os.path.basename(path) for path in self.nodes if os.path.dirname(path) == folder)

    def lstat(self, path: str) -> os.stat_result | None:
        return self.nodes.get(path)


def _stat(match: re.Match[str]) -> os.stat_result:
    mode = sum(1 << (8 - at) for at, letter in enumerate(match["mode"]) if letter != "-")
    device = os.makedev(int(match["major"]), int(match["minor"]))
    ids = IDS.get(match["uid"], 1000), IDS.get(match["gid"], 1000)
    return os.stat_result([stat.S_IFCHR | mode, 0, 0, 1, *ids, 0, 0, 0, 0], {"st_rdev": device})
