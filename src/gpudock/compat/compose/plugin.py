"""What nvidia-docker 1's plugin says a container needs: asked by its REST API, as nvidia-docker-compose did."""

import http.client
import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote as percent

from gpudock.compat.compose.ask import NODE, source
from gpudock.compat.v1_devices import WORD
from gpudock.errors import EngineError, RefusedError
from gpudock.plan.quote import quote

ADDRESS = "localhost:3476"
_LIMIT = 1 << 20  # bytes of an answer
_VOLUME = re.compile(r"[A-Za-z0-9_.-]+:/[^:]*(:[a-z,]+)?$")
Fetch = Callable[[str, str, float], tuple[int, bytes]]  # address, path, seconds -> status, body


class NoPluginError(EngineError):
    """Nobody answers there."""


class Needs(NamedTuple):
    """`gpus`: device nodes of GPUs in the order of their numbers; `control`: the others."""

    gpus: tuple[str, ...]
    control: tuple[str, ...]
    volumes: tuple[str, ...]
    driver: str


def fetch(address: str, path: str, seconds: float) -> tuple[int, bytes]:
    """No proxy stands between this machine and its plugin. Raises OSError and http.client.HTTPException."""
    connection = http.client.HTTPConnection(address, timeout=seconds)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(_LIMIT)
    finally:
        connection.close()


def needs(address: str, devices: tuple[str, ...] = (), *, seconds: float = 10.0, ask: Fetch = fetch) -> Needs:
    """For these devices, named by number or UUID; () for all. Raises NoPluginError, EngineError, RefusedError."""
    path = "/docker/cli/json"
    if devices:
        path += "?dev=" + "+".join(percent(device, safe="") for device in devices)
    try:
        status, body = ask(address, path, seconds)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoPluginError(
            f"No nvidia-docker-plugin answers at {quote(address)}.",
            why=str(error),
            mend="start it (sudo systemctl start nvidia-docker), or leave -n out to use what the engine can do",
        ) from error
    text = body.decode(errors="replace")
    if status == http.client.BAD_REQUEST:
        raise RefusedError(f"nvidia-docker-plugin at {quote(address)} says: {quote(text.strip(), 200)}")
    if status != http.client.OK:
        raise EngineError(
            f"nvidia-docker-plugin at {quote(address)} does not tell what containers need.",
            why=f"status {status}: {quote(text.strip(), 200)}",
            mend="see its log: journalctl -u nvidia-docker",
        )
    return _read(address, text)


def _read(address: str, text: str) -> Needs:
    try:
        told: Any = json.loads(text)
        nodes = [str(each) for each in told.get("Devices") or ()]
        volumes = tuple(str(each) for each in told.get("Volumes") or ())
        driver = str(told.get("VolumeDriver") or "")
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise _nonsense(address, text) from error
    if not all(map(WORD.fullmatch, nodes)) or not all(_VOLUME.match(volume) for volume in volumes):
        raise _nonsense(address, text)
    numbered = sorted((int(match[1]), node) for node in nodes if (match := NODE.match(source(node))))
    control = tuple(node for node in nodes if not NODE.match(source(node)))
    return Needs(tuple(node for _, node in numbered), control, volumes, driver)


def _nonsense(address: str, text: str) -> EngineError:
    return EngineError(
        f"What {quote(address)} says is not an answer of nvidia-docker-plugin.", why=quote(text.strip(), 200)
    )
