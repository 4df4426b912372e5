"""Docker's volume-driver protocol, with the bodies and error texts of nvidia-docker-plugin 1.0.1."""

import os
from typing import TYPE_CHECKING

from gpudock.compat.plugin_http import INTERNAL, NOT_FOUND, Reply, Request
from gpudock.compat.plugin_json import encoded, texts
from gpudock.compat.plugin_log import Log, explained
from gpudock.compat.volume import Volume, Volumes
from gpudock.compat.volume_name import VolumeError
from gpudock.errors import GpudockError

if TYPE_CHECKING:
    from collections.abc import Callable

KIND = "application/vnd.docker.plugins.v1+json"
ACCEPTED = ("application/vnd.docker.plugins.v1.1+json", "application/vnd.docker.plugins.v1.2+json")


class PluginApi:
    """Answers requests; blocks while a volume is made, so it belongs into a thread."""

    def __init__(self, volumes: Volumes, log: Log) -> None:
        self._volumes, self._log = volumes, log
        self._calls: dict[str, Callable[[bytes], object]] = {
            "/Plugin.Activate": self._activate,
            "/VolumeDriver.Capabilities": lambda _: {"Capabilities": {"Scope": "local"}},
            "/VolumeDriver.Create": self._create,
            "/VolumeDriver.Remove": self._remove,
            "/VolumeDriver.Mount": self._mount,
            "/VolumeDriver.Path": self._path,
            "/VolumeDriver.Unmount": self._unmount,
            "/VolumeDriver.Get": self._get,
            "/VolumeDriver.List": self._list,
        }

    def answer(self, request: Request) -> Reply:
        accept = request.headers.get("accept", "")
        if accept not in ACCEPTED:
            self._log(f"Unsupported plugin API {accept}")
            return Reply(406, kind=None)
        call = self._calls.get(request.path) if request.method == "POST" else None
        if call is None:
            return NOT_FOUND
        try:
            return Reply(200, encoded(call(request.body)), KIND)
        except VolumeError as error:
            shape = {"Path": "Mountpoint", "Mount": "Mountpoint", "Get": "Volume", "List": "Volumes"}
            null = shape.get(request.path.rpartition(".")[2])
            return Reply(200, encoded({**({null: None} if null else {}), "Err": error.what}), KIND)
        except GpudockError as error:
            self._log(explained(error))
            return INTERNAL
        except OSError as error:
            self._log(f"Error: {request.path}: {error.filename or ''} {os.strerror(error.errno or 0)}")
            return INTERNAL

    def _activate(self, _: bytes) -> object:
        self._log("Received activate request")
        self._log("Plugins activated [VolumeDriver]")
        return {"Implements": ["VolumeDriver"]}

    def _named(self, body: bytes, what: str) -> str:
        (name,) = texts(body, "Name")
        self._log(f"Received {what} request for volume '{name}'")
        return name

    def _create(self, body: bytes) -> object:
        self._volumes.create(self._named(body, "create"))
        return {"Err": None}

    def _remove(self, body: bytes) -> object:
        self._volumes.remove(self._named(body, "remove"))
        return {"Err": None}

    def _mount(self, body: bytes) -> object:
        name, holder = texts(body, "Name", "ID")
        self._log(f"Received mount request for volume '{name}'")
        return {"Mountpoint": self._volumes.mount(name, holder).mountpoint, "Err": None}

    def _path(self, body: bytes) -> object:
        return {"Mountpoint": self._volumes.find(self._named(body, "mount")).mountpoint, "Err": None}

    def _unmount(self, body: bytes) -> object:
        name, holder = texts(body, "Name", "ID")
        self._log(f"Received unmount request for volume '{name}'")
        self._volumes.unmount(name, holder)
        return {"Err": None}

    def _get(self, body: bytes) -> object:
        (name,) = texts(body, "Name")
        return {"Volume": _shown(self._volumes.find(name)), "Err": None}

    def _list(self, _: bytes) -> object:
        return {"Volumes": [_shown(each) for each in self._volumes.all()] or None, "Err": None}


def _shown(volume: Volume) -> dict[str, str]:
    return {"Name": volume.name, "Mountpoint": volume.mountpoint}
