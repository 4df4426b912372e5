"""Container engines and what they are told about devices."""

from gpudock.facts.base import Fact, Missing


class Engine(Fact, frozen=True):
    name: str  # "docker", "podman", "containerd", "crio"
    program: str  # path of its client
    version: str | Missing  # of the server where there is one
    rootless: bool | Missing = Missing("not asked")
    cdi: bool | Missing = Missing("not asked")  # it applies CDI specifications
    cdi_folders: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    default_runtime: str | None = None
    cgroup_driver: str | Missing = Missing("not asked")
    context: str | None = None  # docker's, when it is not the default one
    remote: bool = False  # the engine is on another machine
    config_path: str | None = None  # daemon.json and its like
    config_error: str | None = None
    problem: str | None = None  # why it cannot be used, in the engine's words
    data_root: str | None = None  # where images and containers lie
    storage_driver: str | None = None
    userns: bool = False  # containers' root is another user
    desktop: bool = False  # Docker Desktop
    containers: str | None = None  # the system of its containers: "linux", "windows"
    kernel: str | None = None  # that they run on
    mirrors: tuple[str, ...] = ()  # registry mirrors, without credentials
    proxies: bool = False  # it uses a proxy
    compose: str | None = None  # version of its compose plugin
    oci: str | None = None  # its low-level runtime: "runc 1.1.5", "crun 1.8.1"


class CdiSpecFile(Fact, frozen=True):
    """A specification that is there, whoever wrote it."""

    path: str
    kind: str | Missing
    version: str | Missing = Missing("not read")  # cdiVersion
    devices: tuple[str, ...] = ()
    plan: str | None = None  # the hash it names, when it is ours
