"""How RUN steps get GPUs, by what the engine can do. Pure."""

import re
from typing import NamedTuple

from gpudock.engine.base import KIND, Answer, Client
from gpudock.engine.build import buildah
from gpudock.engine.build.arguments import Arguments
from gpudock.engine.build.dockerfile import MARK, Dockerfile
from gpudock.engine.podman import numbers
from gpudock.errors import EngineError, UsageError

BUILDAHS = ("podman", buildah.NAME)  # podman's build is buildah's
PODMAN_CDI = (5, 1)  # the first whose build knows CDI, which is buildah 1.36's
DOCKER_CDI = (28, 0)  # BuildKit 0.20
RUNTIME = "gpudock"


class Builder(NamedTuple):
    """A BuildKit as far as devices go: by `docker buildx inspect`."""

    driver: str = ""  # docker: the one that is within docker, which puts images into docker's store
    devices: bool = False  # it knows NVIDIA's CDI devices; buildx before 0.22 does not tell
    automatic: bool = False  # whoever asks gets them
    entitled: bool = False  # they are given to builds with --allow device; docker 28's own BuildKit is never so

    @property
    def gives(self) -> bool:
        return self.devices and (self.automatic or self.entitled)


def builder(told: str) -> Builder:
    """What `docker buildx inspect` says."""
    driver = re.search(r"^Driver:\s+(\S+)", told, re.MULTILINE)
    allowed = re.findall(rf"^ Name:\s+{re.escape(KIND)}=\S+\n Automatically allowed:\s+(\w+)", told, re.MULTILINE)
    entitled = re.search(r"--allow-insecure-entitlement[= ]\"?device\b", told)
    return Builder(driver[1] if driver else "", bool(allowed), "true" in allowed, entitled is not None)


class Facts(NamedTuple):
    """What the choice depends on besides the engine's answer."""

    runtime: str | None = None  # path of gpudock's runtime on this machine
    default_runtime: str = ""  # of docker
    builder: Builder | None = None  # of docker; None without buildx
    buildkit: bool | None = None  # DOCKER_BUILDKIT


class Way(NamedTuple):
    name: str
    text: str  # for the user


DEVICE = Way("device", "every RUN step gets them as CDI devices, by the engine's own --device")
BY_RUNTIME = Way("runtime", "every RUN step gets them by gpudock's runtime")
BY_DEFAULT = Way("default runtime", "every RUN step gets them by docker's default runtime, in its classic builder")
BUILDKIT = Way("buildkit", "the RUN steps get them as CDI devices, by BuildKit")
STEPS = Way("steps", "the marked RUN steps run in containers, and are committed")


def choose(client: Client, answer: Answer, facts: Facts) -> Way | None:
    """The way that needs the Dockerfile least; None when only marked steps can have GPUs. Raises EngineError."""
    if client.name in BUILDAHS:
        return _of_podman(client.name, answer, facts)
    if _buildkit(answer, facts):
        return BUILDKIT
    return BY_DEFAULT if facts.default_runtime == RUNTIME else None


def with_file(way: Way | None, client: Client, answer: Answer, file: Dockerfile) -> Way:
    """The way for this Dockerfile. Raises EngineError and UsageError when there is none."""
    if way is BUILDKIT and "labs" not in file.directives.get("syntax", ""):
        way = None  # released frontends do not know RUN --device
    if way is not None:
        return way
    if not any(each.marked for each in file.instructions):
        raise UsageError(
            f"No RUN step of {file.name} is marked.",
            why=f"{client.name} {answer.version} as it is set up here cannot give GPUs to all steps of a build",
            mend=f'write the line "{MARK}" before each RUN step that needs one; or make gpudock the default runtime: '
            "sudo gpudock configure docker --default",
        )
    if not answer.cdi and RUNTIME not in answer.runtimes:
        raise client.without_mechanism(answer)
    return STEPS


# buildah (1.43 still) lists each CDI device a second time for the device cgroup, without a kind of access.
HINTS = (
    (
        'where the runtime says "device access … cannot be empty" or "devices.allow": it works with crun, on control '
        "groups of version 2, or with gpudock's runtime: sudo gpudock refresh"
    ),
    'where it says "unresolvable CDI devices": its build looks into what cdi_spec_dirs of containers.conf names',
)


def _of_podman(name: str, answer: Answer, facts: Facts) -> Way:
    # The runtime first: see HINTS.
    if facts.runtime is not None and not answer.remote:
        return BY_RUNTIME
    if answer.cdi if name == buildah.NAME else numbers(answer.version) >= PODMAN_CDI:
        return DEVICE
    if answer.remote:
        raise EngineError(
            f"Podman {answer.version} on another machine cannot give RUN steps GPUs.",
            why="its build knows CDI since 5.1",
            mend="use podman 5.1 or newer there, or build on that machine",
        )
    raise EngineError(
        f"{name.title()} {answer.version} needs gpudock's runtime to give RUN steps GPUs.",
        why="builds know CDI since podman 5.1 (buildah 1.36), and the runtime is not installed",
        mend="sudo gpudock refresh",
    )


def _buildkit(answer: Answer, facts: Facts) -> bool:
    gives = facts.builder is not None and facts.builder.gives
    return gives and answer.cdi and facts.buildkit is not False and numbers(answer.version) >= DOCKER_CDI


# What makes no image in the engine's own store: there would be nothing to look at before it is used.
_AWAY = {"output": "writes the image elsewhere", "push": "gives the image away", "manifest": "adds the image to a list"}


def refuse(arguments: Arguments, way: Way) -> None:
    """Raises UsageError for the engine's flags that cannot be combined with GPUs."""
    for name, why in _AWAY.items():
        if (name == "push" and arguments.on(name)) or (name != "push" and arguments.values(name)):
            raise UsageError(
                f"--{name} cannot be combined with GPUs.",
                why=f"it {why} before gpudock could see that no file of the driver is in it",
                mend=f"build with --tag, and do what --{name} does afterwards",
            )
    if arguments.on("all-platforms") or any("," in value for value in arguments.values("platform")):
        raise UsageError("A build with GPUs is for one platform.", mend="name the platform of this machine, or none")
    if way is STEPS and arguments.on("pull"):
        raise UsageError(
            "--pull cannot be combined with marked RUN steps here.",
            why="the later parts of the build begin from an image that is nowhere but here",
            mend="pull the base images first",
        )
    chroot = [value for value in arguments.values("isolation") if value == "chroot"]
    if chroot and way in {DEVICE, BY_RUNTIME}:
        raise UsageError(
            "--isolation chroot cannot be combined with GPUs.",
            why="such RUN steps are no containers",
            mend="leave it out",
        )
