"""The REST API 1.0 of nvidia-docker-plugin: what GPUs there are, what they do, and how a container gets them."""

import base64
import re
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from gpudock.compat import rest_text, rest_values, v1_devices
from gpudock.compat.plugin_http import INTERNAL, NOT_FOUND, PLAIN, Reply, Request, error
from gpudock.compat.plugin_json import encoded
from gpudock.compat.plugin_log import Log, explained
from gpudock.compat.rest_host import allowed
from gpudock.compat.rest_source import Source
from gpudock.compat.v1_devices import NoDeviceError
from gpudock.errors import GpudockError, RefusedError
from gpudock.plan.document import Plan

if TYPE_CHECKING:
    from collections.abc import Callable

JSON = "application/json"
ASKS_DRIVER = re.compile(r"(?:/v1\.0)?/(?:gpu|mesos)/")  # paths whose answer may wait for the driver


class _WrongError(RefusedError):
    """What is not there: `what` is the whole text of the answer."""


class RestApi:
    """Answers requests; blocks while the driver is asked, so it belongs into a thread. `local`: only this machine."""

    def __init__(self, source: Source, log: Log, *, local: bool) -> None:
        self._source, self._log, self._local = source, log, local
        self._routes: dict[str, Callable[[str], Reply]] = {
            "/gpu/info": lambda _: _text(rest_text.info(self._info())),
            "/gpu/info/json": lambda _: _json(self._info()),
            "/gpu/status": lambda _: _text(rest_text.status(*self._status())),
            "/gpu/status/json": lambda _: _json(self._status()[0]),
            "/docker/cli": lambda query: _text(_words(self._arguments(query))),
            "/docker/cli/json": lambda query: _json(self._arguments(query)),
            "/mesos/cli": lambda _: _text(self._mesos()),
        }

    def answer(self, request: Request) -> Reply:
        if self._local and not allowed(request.headers.get("host")):
            return error(403, "403 forbidden")
        route = self._routes.get(request.path.removeprefix("/v1.0")) if request.method == "GET" else None
        if route is None:
            return NOT_FOUND
        try:
            return route(request.query)
        except NoDeviceError as missing:
            return error(400, f"invalid device: {missing.device}")
        except RefusedError as refused:  # a volume that is not there, or a GPU that is not to be had whole
            return error(400, refused.what)
        except GpudockError as failed:
            self._log(explained(failed))
            return INTERNAL

    def _info(self) -> dict[str, Any]:
        return rest_values.info(self._source.host())

    def _status(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """And what the GPUs can at most, which the text tells too."""
        host = self._source.host()
        return rest_values.status(host, self._source.status(host.plan)), rest_values.info(host)

    def _mesos(self) -> str:
        values = self._info()
        packed = base64.urlsafe_b64encode(zlib.compress(encoded(values))).decode().rstrip("=")
        names = ",".join(device["UUID"] for device in values["Devices"])
        return f"--attributes=gpus:{packed} --resources=gpus:{{{names}}}"

    def _arguments(self, query: str) -> dict[str, Any]:
        try:
            asked = parse_qs(query, keep_blank_values=True, max_num_fields=64, errors="replace")
        except ValueError:
            raise _WrongError("400 Bad Request") from None
        plan = self._source.served()
        devices, volumes = _devices(asked, plan), _volumes(asked, plan)
        return {"VolumeDriver": v1_devices.DRIVER, "Volumes": volumes, "Devices": devices}


def _text(text: str) -> Reply:
    return Reply(200, text.encode(), PLAIN)


def _json(value: object) -> Reply:
    return Reply(200, encoded(value), JSON)


def _words(arguments: dict[str, Any]) -> str:
    volumes, devices = arguments["Volumes"], arguments["Devices"]
    words = [f"--volume-driver={arguments['VolumeDriver']}"] if volumes else []
    return " ".join([*words, *(f"--volume={each}" for each in volumes), *(f"--device={each}" for each in devices)])


def _names(asked: dict[str, list[str]], key: str) -> list[str] | None:
    """The names in a parameter, separated by spaces; None for all."""
    text = asked.get(key, [""])[0]
    return None if text in {"", "*"} else text.split(" ")


def _volumes(asked: dict[str, list[str]], plan: Plan | None) -> list[str]:
    for name in _names(asked, "vol") or ():
        if name != v1_devices.VOLUME:
            raise _WrongError(f"invalid volume: {name}")
    return [v1_devices.volume(plan)] if plan and plan["driver"] else []


def _devices(asked: dict[str, list[str]], plan: Plan | None) -> list[str]:
    names = _names(asked, "dev")
    if plan is None:
        if names:
            raise _WrongError(f"invalid device: {names[0]}")
        return []
    try:
        gpus = v1_devices.gpus(plan, names or (), "dev")
    except RefusedError:
        if names:
            raise
        gpus = []  # nobody asks for one, and there is none to give
    return [*v1_devices.control(plan), *gpus]
