"""nvidia-docker 1.0.1: images that ask for it by a label get devices and the driver volume; all else is docker's."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import NamedTuple

from gpudock import proc
from gpudock.compat import cli_environment, nv_host, v1_devices, v1_image, v1_remote, v1_scan
from gpudock.compat.cli_start import Start
from gpudock.compat.v1_docker import Docker
from gpudock.compat.v1_error import V1Error
from gpudock.plan.document import Plan

BANNER = "NVIDIA Docker: 1.0.1\n\n"
_MODPROBE = ("nvidia-modprobe", "-u", "-c=0")


class Tools(NamedTuple):
    """How things are done."""

    run: proc.Runner
    show: Callable[[tuple[str, ...]], int]  # runs with its output on standard error; returns the exit code
    warn: Callable[[str], None]
    plan: Callable[[], Plan]  # of this machine; raises GpudockError
    plugin: Callable[[nv_host.Host], AbstractContextManager[v1_remote.Fetch]]


def start(words: tuple[str, ...], environment: Mapping[str, str], tools: Tools) -> Start:
    """What `nvidia-docker WORDS` becomes. Raises GpudockError; the exit code is always 1."""
    host = nv_host.load(environment, tools.warn)
    docker = Docker(cli_environment.docker(environment), tools.run, tools.show)
    call = v1_scan.command(docker, words)
    unchanged = (*docker.words, *words)
    if call.name == ("version",):
        return Start(unchanged, BANNER)
    if call.name[-1:] not in {("run",), ("create",)} or call.name[:-1] not in {(), ("container",)}:
        return Start(unchanged)
    image = v1_scan.image(docker, call.name[-1], call.after)
    if image is None:
        return Start(unchanged)
    if image.hidden:
        tools.warn("Warning: what follows -- is not looked at, so no GPU is given; leave -- out")
        return Start(unchanged)
    needed = v1_image.volumes(docker, image.name)
    if not needed:
        return Start(unchanged)
    asked = cli_environment.gpus(environment)
    make = _here if host is None else _there(host)
    before = len(words) - len(call.after) + image.at
    return Start((*docker.words, *words[:before], *make(docker, image.name, asked, needed, tools), *words[before:]))


_Make = Callable[[Docker, str, tuple[str, ...], tuple[str, ...], Tools], list[str]]


def _here(docker: Docker, image: str, asked: tuple[str, ...], needed: tuple[str, ...], tools: Tools) -> list[str]:
    plan = tools.plan()
    if not (plan["simulated"] or plan["wsl"]) and not tools.run(proc.Command(_MODPROBE)).ok:
        raise V1Error("Could not load UVM kernel module. Is nvidia-modprobe installed?")
    _check_cuda(docker, image, plan["cuda"], tools)
    devices = (*v1_devices.control(plan), *v1_devices.gpus(plan, asked, "NV_GPU"))
    return [*(f"--device={each}" for each in devices), *_volume(docker, plan, needed)]


def _volume(docker: Docker, plan: Plan, needed: tuple[str, ...]) -> list[str]:
    """Volumes that nvidia-docker does not have are left out."""
    if v1_devices.VOLUME not in needed:
        return []
    volume = v1_devices.volume(plan)
    there = docker.has_volume(volume.partition(":")[0])
    return [*(() if there else (f"--volume-driver={v1_devices.DRIVER}",)), f"--volume={volume}"]


def _there(host: nv_host.Host) -> _Make:
    def make(docker: Docker, image: str, asked: tuple[str, ...], needed: tuple[str, ...], tools: Tools) -> list[str]:
        with tools.plugin(host) as fetch:
            _check_cuda(docker, image, v1_remote.cuda(fetch), tools)
            return v1_remote.added(fetch, asked, needed)

    return make


def _check_cuda(docker: Docker, image: str, driver: str, tools: Tools) -> None:
    warning = v1_image.check_cuda(docker, image, driver)
    if warning:
        tools.warn("Warning: " + warning)
