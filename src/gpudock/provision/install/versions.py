"""What could be installed: docker's and the driver's versions as apt, ubuntu-drivers and dnf list them."""

import re
from typing import NamedTuple

from gpudock import proc
from gpudock.host.plain import one_line
from gpudock.provision.install import branches

SECONDS = 60.0
DOCKERS = ("docker.io", "docker-ce")
DRIVERS = re.compile(
    r"nvidia-driver|nvidia-open(?:-\d+)?|cuda-drivers(?:-\d+)?|nvidia-(?:driver|headless)-\d+(?:-server)?(?:-open)?"
)
_DNF = re.compile(r"(?:nvidia-driver|nvidia-open|cuda-drivers|akmod-nvidia|kmod-nvidia[a-z0-9-]*)(?:-\d+)?\.[a-z0-9_]+")


class Version(NamedTuple):
    package: str
    version: str
    source: str  # of apt: "bookworm/non-free"; else the program that listed it
    recommended: bool = False

    @property
    def branch(self) -> int | None:
        return branches.branch(self.version)


def madison(text: str) -> tuple[Version, ...]:
    """`apt-cache madison`: package | version | address suite/component architecture Packages."""
    found = []
    for line in text.splitlines():
        parts = [part.strip() for part in line.split("|")]
        if len(parts) == 3 and parts[2].endswith("Packages"):
            words = parts[2].split()
            found.append(
                Version(one_line(parts[0]), one_line(parts[1]), one_line(words[1] if len(words) > 2 else words[0]))
            )
    return tuple(dict.fromkeys(found))


def ubuntu_drivers(text: str) -> tuple[Version, ...]:
    """`ubuntu-drivers list --gpgpu`: "nvidia-driver-580-server-open, (kernel modules provided by ...)"."""
    found = []
    for line in text.splitlines():
        name = one_line(line.partition(",")[0].partition(" ")[0])
        number = re.search(r"-(\d{3,4})(?:-|$)", name)
        if DRIVERS.fullmatch(name) and number:
            found.append(Version(name, number[1], "ubuntu-drivers", recommended="recommended" in line))
    return tuple(found)


def dnf(text: str) -> tuple[Version, ...]:
    """`dnf --quiet list --showduplicates`: name.architecture version repository."""
    rows = (line.split() for line in text.splitlines())
    return tuple(
        Version(one_line(row[0].rpartition(".")[0]), one_line(row[1]), one_line("dnf " + row[2]))
        for row in rows
        if len(row) == 3 and _DNF.fullmatch(row[0])
    )


def of_docker(run: proc.Runner) -> tuple[Version, ...]:
    return madison(_said(run, "apt-cache", "madison", *DOCKERS))


def of_drivers(run: proc.Runner) -> tuple[Version, ...]:
    """From every program that is here."""
    names = [name for name in _said(run, "apt-cache", "pkgnames").split() if DRIVERS.fullmatch(name)]
    by_apt = madison(_said(run, "apt-cache", "madison", *sorted(names))) if names else ()
    by_ubuntu = ubuntu_drivers(_said(run, "ubuntu-drivers", "list", "--gpgpu"))
    words = ("dnf", "--quiet", "list", "--showduplicates", "nvidia*", "cuda-drivers*", "akmod-nvidia*", "kmod-nvidia*")
    return (*by_apt, *by_ubuntu, *dnf(_said(run, *words)))


def _said(run: proc.Runner, *words: str) -> str:
    """ "" of a program that is not here, or has nothing to say."""
    return run(proc.Command(words, timeout=SECONDS)).out
