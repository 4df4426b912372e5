"""Settings of docker that `gpudock configure docker` makes besides the runtime: the options and what they mean."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from gpudock.engine.configure.wish import Settings

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
EVERY = "all"  # as the value of a node's resource: each GPU of this machine
_OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("--registry-mirror",), {"multiple": True, "metavar": "URL", "help": "Ask there first for images; repeatable."}),
    (
        ("--userns-remap",),
        {"metavar": "USER", "help": "Root in containers is nobody outside: default, or USER[:GROUP]."},
    ),
    (("--data-root",), {"metavar": "DIR", "help": "Keep images and containers there; what is there now is copied."}),
    (("--log-max-size",), {"metavar": "SIZE", "help": "Begin a new log file of a container at this size, as 64m."}),
    (("--log-max-files",), {"metavar": "N", "type": int, "help": "Keep that many log files of a container."}),
    (("--live-restore/--no-live-restore",), {"default": None, "help": "Containers run on while docker restarts."}),
    (
        ("--default-ulimit",),
        {"multiple": True, "metavar": "LIMIT", "help": "As memlock=unlimited, nofile=65536:1048576."},
    ),
    (("--default-shm-size",), {"metavar": "SIZE", "help": "Size of /dev/shm where a container names none, as 16g."}),
    (
        ("--node-resource",),
        {"multiple": True, "metavar": "NAME=VALUE", "help": "What swarm may give to services; gpu=all: each GPU."},
    ),
)
NAMES = tuple(names[0].partition("/")[0][2:].replace("-", "_") for names, _ in _OPTIONS)


def options(function: Decorated) -> Decorated:
    for names, settings in reversed(_OPTIONS):
        function = click.option(*names, **settings)(function)
    return function


def wanted(given: dict[str, Any]) -> "Settings":
    from gpudock.engine.configure.docker_settings import check
    from gpudock.engine.configure.wish import Settings

    return check(
        Settings(
            mirrors=given["registry_mirror"],
            userns=given["userns_remap"],
            data_root=given["data_root"],
            log_size=given["log_max_size"],
            log_files=given["log_max_files"],
            live_restore=given["live_restore"],
            shm_size=given["default_shm_size"],
            ulimits=given["default_ulimit"],
            node=tuple(value for text in given["node_resource"] for value in _each_gpu(text)),
        )
    )


def _each_gpu(text: str) -> list[str]:
    name, _, value = text.partition("=")
    if value != EVERY:
        return [text]
    from gpudock.cli.options import HostOptions
    from gpudock.errors import HostError

    gpus = HostOptions().load(announce=False).gpus
    if not gpus:
        raise HostError(f"{text} names no GPU: this machine has none.", mend="gpudock host says what it sees")
    return [f"{name}={gpu.uuid}" for gpu in gpus]
