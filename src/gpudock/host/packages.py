"""Installed packages of NVIDIA and of container engines, from dpkg and rpm."""

import re
from collections.abc import Iterator

from gpudock.facts.base import Missing
from gpudock.facts.system import Package
from gpudock.host.plain import one_line
from gpudock.host.root import Root
from gpudock.proc import Command, Runner

STATUS = "/var/lib/dpkg/status"
STATUS_LIMIT = 128 << 20  # bytes
RPM_FOLDERS = ("/var/lib/rpm", "/usr/lib/sysimage/rpm")
RPM_SECONDS = 20.0

RELEVANT = re.compile(
    r"""(?:lib)?(?:nvidia|cuda|cudnn|nccl|nvoptix|nvcuvid|nvml)  # the driver's and CUDA's own
      |(?:akmod|kmod|kmodtool|dkms|xserver-xorg-video|xorg-x11-drv|firmware|golang-github|linux-(?:modules|objects|signatures))-nvidia
      |docker|moby-|containerd|podman|buildah|cri-o|crun$|runc$|dkms$|nerdctl
      |[a-z0-9-]*-nvidia-(?:container|driver)""",
    re.VERBOSE,
)


def read(machine: Root, run: Runner) -> tuple[Package, ...] | Missing:
    """Sorted by name. Missing when neither dpkg nor rpm has a database here."""
    found: list[Package] = []
    managers = 0
    if machine.stat(STATUS):
        managers += 1
        try:
            found += _dpkg(machine.read(STATUS, STATUS_LIMIT))
        except OSError as error:
            return Missing(f"{STATUS} cannot be read: {error.strerror}")
    if any(machine.names(folder) for folder in RPM_FOLDERS):
        managers += 1
        rpms = _rpm(machine, run)
        if isinstance(rpms, Missing) and managers == 1:
            return rpms
        found += rpms if isinstance(rpms, tuple) else ()
    if not managers:
        return Missing("neither dpkg nor rpm has a database")
    return tuple(sorted(found, key=lambda package: (package.name, package.version)))


def _dpkg(status: bytes) -> Iterator[Package]:
    """Stanzas are separated by empty lines; only installed packages have the state `installed`."""
    for stanza in status.decode(errors="replace").split("\n\n"):
        name = stanza.removeprefix("Package: ").partition("\n")[0] if stanza.startswith("Package: ") else ""
        if not RELEVANT.match(name):
            continue
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if re.match(r"(?:Status|Version): ", line))
        if fields.get("Status", "").endswith(" installed"):
            yield Package(name=one_line(name), version=one_line(fields.get("Version", "")), manager="dpkg")


def _rpm(machine: Root, run: Runner) -> tuple[Package, ...] | Missing:
    root = () if machine.folder == "/" else ("--root", machine.folder)
    form = r"%{NAME}\t%{EVR}\n"
    result = run(Command(("rpm", *root, "-qa", "--queryformat", form), timeout=RPM_SECONDS, env={"LC_ALL": "C"}))
    if not result.ok:
        return Missing("rpm does not answer: " + (one_line(result.err) or f"exit code {result.code}"))
    lines = (line.partition("\t") for line in result.out.splitlines())
    return tuple(
        Package(name=one_line(name), version=one_line(version), manager="rpm")
        for name, _, version in lines
        if RELEVANT.match(name)
    )
