"""A real image registry on loopback: the distribution's docker-registry."""

import json
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from real.harness import archive, cache
from real.harness.commands import CommandFailed, run

_START = 30.0  # seconds; it takes less than one


class Registry:
    def __init__(self, address: str) -> None:
        self.address = address  # as images' names begin

    def ask(self, what: str) -> Any:
        with urllib.request.urlopen(f"http://{self.address}/v2/{what}", timeout=10) as answer:
            return json.load(answer)


@contextmanager
def registry(folder: Path) -> Iterator[Registry]:
    programs = cache.kept("programs/docker-registry", cache.key(archive.codename()), _fetch)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Registry(f"127.0.0.1:{listener.getsockname()[1]}")
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}},
        "http": {"addr": made.address},
    }
    (folder / "registry.yml").write_text(json.dumps(settings))
    argv = [str(programs / "usr/bin/docker-registry"), "serve", str(folder / "registry.yml")]
    with (folder / "registry.log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log) as running:
        try:
            _wait(made, running, folder / "registry.log")
            yield made
        finally:
            running.terminate()


def _wait(made: Registry, running: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + _START
    while running.poll() is None and time.monotonic() < end:
        try:
            made.ask("")
        except urllib.error.URLError:
            time.sleep(0.05)
        else:
            return
    raise CommandFailed(f"docker-registry does not answer:\n{log.read_text()[-2000:]}")


def _fetch(staging: Path) -> None:
    with tempfile.TemporaryDirectory() as temp:
        run(["apt-get", "update", "-qq"], timeout=300)
        run(["sh", "-c", 'cd "$0" && apt-get download -qq docker-registry', temp], timeout=300)
        archive.unpack(sorted(Path(temp).glob("*.deb")), staging)
