"""A real Prometheus on loopback that asks our exporter each second, and answers queries."""

import json
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_START = 60.0  # seconds; it takes one or two


class Prometheus:
    def __init__(self, address: str) -> None:
        self._address = address

    def ask(self, what: str, **query: str) -> Any:
        url = f"{self._address}/api/v1/{what}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def values(self, expression: str) -> list[Any]:
        """The series that the expression has now."""
        found: list[Any] = self.ask("query", query=expression)["result"]
        return found

    def wait(self, expression: str) -> list[Any]:
        """The same as soon as there are any."""
        end = time.monotonic() + _START
        while time.monotonic() < end:
            found = self.values(expression)
            if found:
                return found
            time.sleep(0.2)
        raise AssertionError(f"nothing for {expression}; targets: {self.ask('targets')['activeTargets']}")


@contextmanager
def prometheus(folder: Path, targets: Mapping[str, str], rules: Sequence[Path] = ()) -> Iterator[Prometheus]:
    """`targets`: addresses by the name of their job."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    settings = folder / "prometheus.yml"
    jobs = [{"job_name": name, "static_configs": [{"targets": [address]}]} for name, address in targets.items()]
    every = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    settings.write_text(
        json.dumps({"global": every, "scrape_configs": jobs, "rule_files": [str(each) for each in rules]})
    )
    data = f"--storage.tsdb.path={folder / 'data'}"
    with (folder / "log").open("wb") as log:
        argv = ["prometheus", f"--config.file={settings}", data, f"--web.listen-address=127.0.0.1:{port}"]
        running = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        _ready(f"http://127.0.0.1:{port}/-/ready", running, folder / "log")
        yield Prometheus(f"http://127.0.0.1:{port}")
    finally:
        running.terminate()
        running.wait(20)


def _ready(address: str, running: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + _START
    while time.monotonic() < end and running.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"Prometheus does not start:\n{log.read_text()[-3000:]}")
