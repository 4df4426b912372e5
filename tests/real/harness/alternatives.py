"""Debian's alternatives made by Debian's own scripts: they run in the root with the machine's shell and update-alternatives."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from real.harness.archive import installed
from real.harness.commands import run

_TOOLS = ("sh", "dirname", "basename", "grep", "readlink", "rm", "ln", "cat", "update-alternatives")
# What dpkg would do at these calls is not wanted here: nothing waits for triggers, and no package is asked for.
_SILENT = {"dpkg-trigger": 0, "dpkg-maintscript-helper": 0, "dpkg-query": 1}
_DIVERSION = re.compile(r"^\s*add_multiarch_diversion (\S+) /usr/lib /usr/lib/mesa-diverted$", re.MULTILINE)


def diverted(glx_diversions: str) -> frozenset[str]:
    """Names of the libraries of other packages that glx-diversions moves to /usr/lib/mesa-diverted (its postinst)."""
    return frozenset(_DIVERSION.findall(glx_diversions))


def make(root: Path, postinsts: Sequence[tuple[str, str]]) -> None:
    """Runs each postinst (its text, the trigger that it is told of) in the root."""
    for folder in ("etc/alternatives", "var/lib/dpkg/alternatives", "var/log"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    lent = _lend(root)
    script = root / "postinst"
    try:
        for text, trigger in postinsts:
            script.write_text(text)
            path = "/usr/sbin:/usr/bin:/sbin:/bin"
            run(["chroot", str(root), "/bin/sh", "/postinst", "triggered", trigger], env={"PATH": path, "LC_ALL": "C"})
    finally:
        for file in [script, *lent]:
            file.unlink(missing_ok=True)
        shutil.rmtree(root / "var/log")


def _lend(root: Path) -> list[Path]:
    """Puts the tools and the libraries that they need into the root; returns what to take away again."""
    lent = []
    for tool in _TOOLS:
        program = installed(tool)
        for needed in [str(program), *re.findall(r"(/\S+) \(0x", run(["ldd", str(program)]).stdout)]:
            place = root / needed.removeprefix("/")
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(needed, place)
                lent.append(place)
    for tool, code in _SILENT.items():
        place = root / "usr/bin" / tool
        place.write_text(f"#!/bin/sh\nexit {code}\n")
        place.chmod(0o755)
        lent.append(place)
    return lent
