"""Container start pays for every module that the plan room imports."""

import os
import subprocess
import sys

import gpudock

SOURCES = os.path.dirname(os.path.dirname(gpudock.__file__))
ROOM = "gpudock.plan."
GRAMMARS = ("request", "select", "requirement", "environment")
FROZEN = {
    "gpudock",
    "gpudock.errors",
    "gpudock.plan",
    *(ROOM + name for name in (*GRAMMARS, "capabilities", "device_id", "quote", "value")),
}
SCRIPT = """
import sys
sys.path.insert(0, {sources!r})
before = set(sys.modules)
import {modules}
print(*sorted(set(sys.modules) - before))
"""


def test_the_grammars_import_nothing_but_each_other() -> None:
    script = SCRIPT.format(sources=SOURCES, modules=", ".join(ROOM + name for name in GRAMMARS))
    command = [sys.executable, "-I", "-S", "-c", script]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert set(output.split()) == FROZEN
