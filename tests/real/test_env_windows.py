"""A program of a container draws on a real X server, with a cookie of its own."""

import os
import re
import struct
import subprocess
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from real.env_stage import BASE, Stage
from real.harness import archive
from real.harness.commands import run

pytestmark = pytest.mark.real

RECIPE = f"base: {BASE}\ndisplay: x11\n"
COOKIE = "0123456789abcdef" * 2  # of the X server itself
PICTURE = os.environ.get("GPUDOCK_TEST_PICTURES", "")


@pytest.fixture(scope="module")
def stage(env_docker: Stage) -> Stage:
    return env_docker


@dataclass(frozen=True)
class Screen:
    """An X server without a screen, which lets in who has its cookie."""

    number: int
    folder: Path

    @property
    def env(self) -> dict[str, str]:
        return {"DISPLAY": f":{self.number}", "XAUTHORITY": f"{self.folder}/Xauthority"}

    def pixels(self) -> tuple[int, int, bytes]:
        """Width, height and rows of 4 bytes: Xvfb keeps its screen as an xwd file."""
        data = (self.folder / "Xvfb_screen0").read_bytes()
        head = struct.unpack(">25I", data[:100])
        width, height, line, colors = head[4], head[5], head[12], head[19]
        start = head[0] + colors * 12
        rows = [data[start + row * line : start + row * line + width * 4] for row in range(height)]
        return width, height, b"".join(rows)

    def save(self, path: str) -> None:
        width, height, data = self.pixels()
        lines = bytearray()
        for row in range(height):
            line = data[row * width * 4 : (row + 1) * width * 4]
            lines += b"\0" + bytes(
                value for at in range(0, len(line), 4) for value in (line[at + 2], line[at + 1], line[at])
            )

        def chunk(kind: bytes, body: bytes) -> bytes:
            return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

        head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(lines), 9))
        Path(path).write_bytes(png + chunk(b"IEND", b""))


@contextmanager
def screen(folder: Path, number: int = 77) -> Iterator[Screen]:
    folder.mkdir()
    made = Screen(number, folder)
    run(["xauth", "-q", "-f", f"{folder}/Xauthority", "add", f":{number}", ".", COOKIE])
    words = [str(archive.installed("Xvfb")), f":{number}", "-screen", "0", "320x240x24", "-fbdir", str(folder)]
    flags = ["-auth", f"{folder}/Xauthority", "-nolisten", "tcp", "-noreset"]
    with (folder / "log").open("w") as log, subprocess.Popen([*words, *flags], stdout=log, stderr=log) as server:
        try:
            end = time.monotonic() + 30
            while not os.path.exists(f"/tmp/.X11-unix/X{number}"):
                assert time.monotonic() < end, (folder / "log").read_text()
                time.sleep(0.05)
            yield made
        finally:
            server.terminate()


def drawn(shown: Screen) -> bool:
    return len(set(zip(*[iter(shown.pixels()[2])] * 4, strict=True))) > 1


def wait_until_drawn(shown: Screen) -> None:
    end = time.monotonic() + 60
    while not drawn(shown):
        assert time.monotonic() < end, "nothing was drawn"
        time.sleep(0.2)


def test_a_window_is_drawn_with_a_cookie_of_its_own(stage: Stage) -> None:
    folder = stage.project("window", RECIPE)
    with screen(stage.folder / "x77") as shown:
        stage("up", at=folder, env=shown.env)
        assert not drawn(shown)
        stage("env", "exec", "--detach", "xlogo", "-geometry", "320x240", at=folder)
        wait_until_drawn(shown)
        if PICTURE:
            shown.save(f"{PICTURE}/x11.png")
        inside = stage("env", "exec", "xauth", "-i", "list", at=folder).stdout
        own = run(["xauth", "-f", f"{shown.folder}/Xauthority", "list"]).stdout
        assert "MIT-MAGIC-COOKIE-1" in inside
        assert inside.split()[-1] != own.split()[-1]  # another cookie, made for it
        refused = stage("env", "exec", "env", "XAUTHORITY=/dev/null", "xlogo", at=folder, check=False)
        assert "Authorization required" in refused.stderr + refused.stdout  # access control stayed on
        stage("down", at=folder)


# As ssh -X does it: on this machine's loopback, where no container reaches, and for a cookie of its own alone, in whose
# place it puts the display's.
FORWARD = """
import socket, struct, sys, threading
fake, real, place = bytes.fromhex(sys.argv[1]), bytes.fromhex(sys.argv[2]), sys.argv[3]
def pipe(a, b):
    while data := a.recv(65536): b.sendall(data)
    b.shutdown(socket.SHUT_WR)
def serve(one):
    file = one.makefile("rb", buffering=0)
    head = file.read(12)
    name, data = struct.unpack("<HH", head[6:10])
    said = file.read(-(-name // 4) * 4), file.read(-(-data // 4) * 4)
    if said[1] != fake:
        return one.close()
    two = socket.socket(socket.AF_UNIX); two.connect(place); two.sendall(head + said[0] + real)
    for pair in ((one, two), (two, one)): threading.Thread(target=pipe, args=pair, daemon=True).start()
server = socket.create_server(("127.0.0.1", 6020))
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""


def test_a_display_that_ssh_forwards(stage: Stage) -> None:
    folder = stage.project("forwarded", RECIPE)
    fake = "fedcba9876543210" * 2
    with screen(stage.folder / "x78", 78) as shown:
        words = [*stage.network.words, "python3", "-c", FORWARD, fake, COOKIE, "/tmp/.X11-unix/X78"]
        entry = ("add", f"{os.uname().nodename}/unix:20", ".", fake)
        run(["xauth", "-q", "-f", f"{shown.folder}/Xauthority", *entry])
        with subprocess.Popen(words) as sshd:
            time.sleep(1)
            told = stage("up", at=folder, env={**shown.env, "DISPLAY": "localhost:20.0"})
            assert "cookie of this ssh session" in told.stderr
            stage("env", "exec", "--detach", "xlogo", at=folder)
            wait_until_drawn(shown)
            sshd.kill()
        relays = re.compile(r"x11_relay")
        end = time.monotonic() + 30
        while relays.search(run(["ps", "axo", "args"]).stdout):
            assert time.monotonic() < end, "the relay outlives the session"
            time.sleep(0.5)
        stage("down", at=folder)
