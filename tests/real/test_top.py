"""`gpudock top` in a terminal of its own: it starts, follows the terminal's size, shows logs, and leaves no trace."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gpudock import proc
from gpudock.testing.simulate import build, description

pytestmark = pytest.mark.real

# The demo machine, on which alice's container is docker's.
DEMO = """
import sys
sys.path.insert(0, sys.argv[1])
from gpudock.monitor.top.act import Person
from gpudock.monitor.top.app import Top
from unit.monitor.demo import DemoSource
Top(DemoSource(), Person(1000, "alice")).run()
"""
DOCKER = """#!/bin/sh
echo "asked: $*"
echo "epoch 1 of 3"
exec sleep 60
"""


class Terminal:
    """A program on a terminal of 24 lines of 80, and everything that it wrote."""

    def __init__(self, argv: list[str], environment: dict[str, str]) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.execve(argv[0], argv, environment | {"TERM": "xterm-256color"})
        self.size(24, 80)
        self.written = ""

    def size(self, lines: int, columns: int) -> None:
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys: str) -> None:
        self.written = ""
        os.write(self._fd, keys.encode())

    def until(self, condition: Callable[[str], object], seconds: float = 30.0) -> None:
        """What was written since the last key, without the sequences that move and colour."""
        end = time.monotonic() + seconds
        while not condition(self.plain()):
            assert time.monotonic() < end, self.plain()[-3000:]
            self._read()

    def plain(self) -> str:
        return re.sub(r"\x1b\[[0-9;?<>=]*[a-zA-Z]|\x1b[()][A-Z0-9]", "", self.written)

    def _read(self) -> bool:
        if not select.select([self._fd], [], [], 0.2)[0]:
            return True
        try:
            data = os.read(self._fd, 1 << 16)
        except OSError:  # the program is gone
            return False
        self.written += data.decode(errors="replace")
        return bool(data)

    def ended(self) -> int:
        """Its exit code."""
        while self._read():
            pass
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.pid = 0
        return code

    def close(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._fd)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    started: list[Terminal] = []

    def start(*words: str, **environment: str) -> Terminal:
        started.append(Terminal([sys.executable, *words], dict(os.environ) | environment))
        return started[-1]

    yield start
    for each in started:
        each.close()


def test_on_simulated_gpus(terminal: Callable[..., Terminal], session_root: Path) -> None:
    folder = session_root / "top"
    build.build(description.make(2, "H200", "580.159.04"), str(folder), runner=proc.run)
    shown = terminal("-m", "gpudock", "top", "--simulated", str(folder), GPUDOCK_RUN_DIR=str(session_root / "top-run"))
    shown.until(lambda text: "0/140 GiB" in text and "SIMULATED" in text)
    shown.written = ""
    shown.size(30, 140)
    shown.until(lambda text: "H200" in text)  # names have room now
    shown.press("q")
    assert shown.ended() == 0
    assert "\x1b[?1049l" in shown.written  # the screen that was there before is there again


def test_logs_are_the_engines_and_ctrl_c_comes_back(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    tests = str(Path(__file__).parents[1])
    path = f"{tmp_path}:{os.environ['PATH']}"
    shown = terminal("-c", DEMO, tests, PATH=path, DOCKER_HOST="", DOCKER_CONTEXT="", GPUDOCK_ENGINE="")
    shown.until(lambda text: "alice-jupyter" in text)
    shown.press("jjl")  # down, down, logs
    shown.until(lambda text: "epoch 1 of 3" in text)
    assert f"logs --follow --tail 200 -- {'a1' * 32}" in shown.plain()
    shown.press("\x03")
    shown.until(lambda text: "alice-jupyter" in text and "GPU MEM" in text)
    shown.press("q")
    assert shown.ended() == 0
