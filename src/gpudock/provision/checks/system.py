"""The system around: package sources, disks, clock, network."""

import re
from collections.abc import Iterator
from shlex import quote

from gpudock.facts.base import Missing
from gpudock.facts.snapshot import Snapshot
from gpudock.provision.check import ERROR, NOTE, WARNING, Check, Seen, check
from gpudock.provision.machine import engines, named, setup, working

CHECKS: list[Check] = []
GIB = 1 << 30
FULL = 0.05
LITTLE = 10 * GIB  # one image with a framework
_SLOW_STORAGE = {
    "vfs": "copies every layer whole",
    "devicemapper": "is gone from docker 25",
    "aufs": "is gone from docker 24",
}
_PODMAN_STORAGE = (
    '# driver = "overlay" in /etc/containers/storage.conf or ~/.config/containers/storage.conf, then:',
    "podman system reset    # removes all images and containers of this user",
)
_OLD_SOURCE = re.compile(r"nvidia\.github\.io/(?:nvidia-docker|nvidia-container-runtime)|\$\(ARCH\)|/experimental/")
_SIGNED = re.compile(r"\[[^\]]*signed-by=([^\s\]]+)[^\]]*\]")
_DAY = 86400


@check(
    CHECKS,
    "apt-signed-by",
    ERROR,
    "Two apt sources of one repository have different keys",
    cause="apt refuses to work at all then. One entry came with an old guide, the other with a package.",
    fix=(
        "grep -r REPOSITORY /etc/apt/sources.list /etc/apt/sources.list.d/",
        "sudo rm THE-OLDER-FILE",
        "sudo apt-get update",
    ),
    messages=(
        "E: Conflicting values set for option Signed-By regarding source",
        "E: The list of sources could not be read.",
    ),
    references=("NVIDIA/nvidia-docker#1626", "NVIDIA/nvidia-docker#1627"),
)
def apt_signed_by(machine: Snapshot) -> Iterator[str]:
    keys: dict[tuple[str, ...], dict[str, str]] = {}
    for source in machine.package_sources:
        if not source.line.startswith("deb"):
            continue
        signed = _SIGNED.search(source.line)
        plain = re.sub(r"\[[^\]]*\]", "", source.line).split()[1:3]
        keys.setdefault(tuple(each.rstrip("/") for each in plain), {})[signed[1] if signed else "no key"] = source.path
    for place, found in keys.items():
        if len(found) > 1:
            yield f"{' '.join(place)}: " + ", ".join(f"{path} has {key}" for key, path in found.items())


@check(
    CHECKS,
    "apt-old-source",
    WARNING,
    "An apt source of nvidia-docker's time is configured",
    cause="The repositories nvidia-docker and nvidia-container-runtime were closed; "
    "nvidia.github.io/libnvidia-container has "
    "had everything since 2023.",
    fix=("sudo rm PATH", "sudo apt-get update"),
    messages=(
        "E: The repository 'https://nvidia.github.io/nvidia-docker/ubuntu22.04/amd64  InRelease' is not signed.",
    ),
    references=("NVIDIA/nvidia-docker#1626",),
)
def apt_old_source(machine: Snapshot) -> Iterator[Seen]:
    for source in machine.package_sources:
        if _OLD_SOURCE.search(source.line):
            yield Seen(f"{source.path}: {source.line}", (f"sudo rm {quote(source.path)}", "sudo apt-get update"))


@check(
    CHECKS,
    "storage-driver",
    WARNING,
    "The engine's storage is slow or going away",
    cause="The driver was chosen where overlay did not work (another file system below, an old kernel), and stayed.",
    fix=(
        "docker info --format '{{.Driver}}'",
        '# "storage-driver": "overlay2" in daemon.json: images are not seen any more',
    ),
    messages=("the devicemapper storage-driver is deprecated",),
)
def storage_driver(machine: Snapshot) -> Iterator[Seen]:
    for engine in working(machine):
        why = _SLOW_STORAGE.get(engine.storage_driver or "")
        if why:
            fix = _PODMAN_STORAGE if engine.name == "podman" else ()
            yield Seen(f"{named(engine)} uses {engine.storage_driver}, which {why}", fix)


@check(
    CHECKS,
    "disk-full",
    WARNING,
    "There is little space for images",
    cause="Images with CUDA and a framework take 5 to 20 GB each; build caches and stopped containers stay until "
    "removed.",
    fix=("docker system df", "docker system prune    # removes what stopped and is not named", "# or move data-root"),
    messages=("no space left on device", "failed to register layer: write /usr/local/cuda: no space left on device"),
)
def disk_full(machine: Snapshot) -> Iterator[Seen]:
    for disk in setup(machine).disks:
        if disk.use != "gpudock" and disk.size and disk.free < max(min(LITTLE, disk.size // 10), int(disk.size * FULL)):
            bad = ERROR if disk.free < GIB else ""
            yield Seen(
                f"{disk.path} ({disk.use}): {disk.free / GIB:.1f} of {disk.size / GIB:.0f} GiB free", severity=bad
            )


@check(
    CHECKS,
    "inodes-full",
    WARNING,
    "There are few inodes for images",
    cause="The file system can hold so many files and no more, whatever space is left. Images are many small files.",
    fix=("df -i", "docker system prune", "# a file system made with more inodes (mkfs.ext4 -N), or XFS"),
    messages=("no space left on device",),
)
def inodes_full(machine: Snapshot) -> Iterator[str]:
    for disk in setup(machine).disks:
        if disk.inodes and disk.inodes_free < disk.inodes * FULL:
            yield f"{disk.path} ({disk.use}): {disk.inodes_free} of {disk.inodes} inodes free"


@check(
    CHECKS,
    "noexec",
    ERROR,
    "Containers' files may not be executed",
    cause="The data root is on a file system that is mounted noexec.",
    fix=("sudo mount -o remount,exec MOUNTPOINT    # and take noexec out of /etc/fstab",),
    messages=(
        "exec /bin/sh: permission denied",
        "nvidia-container-cli: ldcache error: process /sbin/ldconfig failed with error code: 1",
    ),
    references=("NVIDIA/nvidia-docker#659",),
)
def noexec(machine: Snapshot) -> Iterator[str]:
    for disk in setup(machine).disks:
        wrong = [each for each in ("noexec", "ro") if each in disk.options]
        if wrong:
            yield f"{disk.path} ({disk.use}) is mounted {', '.join(wrong)}"


@check(
    CHECKS,
    "clock",
    WARNING,
    "The clock is wrong, or nothing sets it",
    cause="Certificates of registries are valid from one date to another; a machine with a dead battery is years off.",
    fix=("timedatectl", "sudo timedatectl set-ntp true"),
    messages=(
        "x509: certificate has expired or is not yet valid",
        "E: Release file for … is not valid yet (invalid for another 3h)",
    ),
)
def clock(machine: Snapshot) -> Iterator[Seen]:
    now = setup(machine).clock
    if now is None:
        return
    if isinstance(now.newest, int) and now.newest > now.now + _DAY:
        yield Seen(f"files were changed {(now.newest - now.now) // _DAY} days in the future", severity=ERROR)
    if now.synchronised is False:
        yield Seen("systemd-timesyncd has not reached a server", severity=NOTE)


@check(
    CHECKS,
    "mirror",
    WARNING,
    "A registry mirror does not answer",
    cause="Docker tries each mirror before the registry itself, so every pull waits for it.",
    fix=(
        "curl -sS ADDRESS/v2/",
        "# take it out of registry-mirrors in daemon.json, then: sudo systemctl reload docker",
    ),
    messages=(
        "net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)",
    ),
)
def mirror(machine: Snapshot) -> Iterator[Seen]:
    for each in setup(machine).mirrors:
        if each.problem:
            look = f"curl -sS {quote(each.address.rstrip('/') + '/v2/')}"
            fix = (look, "# or take it out of registry-mirrors in daemon.json, and: sudo systemctl reload docker")
            yield Seen(f"{each.address}: {each.problem}", fix)


@check(
    CHECKS,
    "proxy",
    NOTE,
    "You use a proxy, docker's daemon does not",
    cause="The daemon fetches images, and it does not see the variables of your shell.",
    fix=(
        "sudo systemctl edit docker    # [Service] Environment=HTTPS_PROXY=… NO_PROXY=localhost,127.0.0.1",
        "sudo systemctl daemon-reload && sudo systemctl restart docker",
    ),
    messages=(
        "dial tcp: lookup registry-1.docker.io: no such host",
        'Get "https://registry-1.docker.io/v2/": net/http: TLS handshake timeout',
    ),
)
def proxy(machine: Snapshot) -> Iterator[str]:
    caller = setup(machine).caller
    for engine in working(machine, "docker"):
        if caller and caller.proxies and not engine.proxies:
            yield f"{', '.join(caller.proxies)} set here, not for {named(engine)}"


@check(
    CHECKS,
    "proxy-local",
    NOTE,
    "A proxy is set without exceptions",
    cause="Without NO_PROXY, programs ask the proxy for localhost too: Jupyter, TensorBoard and the plugin's address.",
    fix=("export NO_PROXY=localhost,127.0.0.1,::1",),
    messages=("HTTP Error 403: Target service not allowed",),
    references=("eywalker/nvidia-docker-compose#27",),
)
def proxy_local(machine: Snapshot) -> Iterator[str]:
    caller = setup(machine).caller
    if caller and caller.proxies and not caller.no_proxy and engines(machine):
        yield f"{', '.join(caller.proxies)} without no_proxy"


@check(
    CHECKS,
    "snapshot-unread",
    NOTE,
    "Some things could not be looked at",
    cause="They need root's rights.",
    fix=("sudo gpudock doctor",),
    messages=("dmesg: read kernel buffer failed: Operation not permitted",),
)
def unread(machine: Snapshot) -> Iterator[str]:
    facts = setup(machine)
    for what, value in (("kernel log", facts.xids), ("Secure Boot", facts.secure_boot)):
        if isinstance(value, Missing) and value.reason.endswith(("not permitted", "denied")):
            yield f"{what}: {value.reason}"
