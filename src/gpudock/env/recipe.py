"""gpudock.yaml as a value. The descriptions are those that an editor shows, by the published JSON Schema. Pure."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

SHELLS = ("bash", "zsh", "sh")
FRAMEWORKS = ("pytorch", "tensorflow", "jax")
KNOWN_SERVICES = ("jupyter", "tensorboard", "code", "ssh")
CAMERA, USB = "camera", "usb"  # words among the devices

_SIZE = r"^(-1|[0-9]+(\.[0-9]+)?([kmgtKMGT]?[iI]?[bB]?))$"
_VERSION = r"^[0-9]+(\.[0-9]+)*([a-z0-9.+-]*)$"
_CPUS = "^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$"
_CUDA = r"^(auto|none|[0-9]+\.[0-9]+(\.[0-9]+)?)$"
_USER = "^[a-z_][a-z0-9_-]{0,31}$"
_EXTENSION = r"^[A-Za-z0-9][\w-]*\.[A-Za-z0-9][\w.-]*(@[0-9][\w.-]*)?$"
FORMS = {  # in words, for messages
    _SIZE: "a size such as 32g",
    _VERSION: 'a version such as "3.12"',
    _CPUS: "a list of CPUs such as 0-3,8",
    _CUDA: 'auto, none, or a version such as "12.8"',
    _USER: "a user's name",
    _EXTENSION: "an extension such as ms-python.python",
}
Size = Annotated[str, Meta(pattern=_SIZE, examples=["32g"])]
Version = Annotated[str, Meta(pattern=_VERSION, examples=["3.12"])]
Extension = Annotated[str, Meta(pattern=_EXTENSION, examples=["ms-python.python"])]
Port = Annotated[int, Meta(ge=1, le=65535)]
Words = tuple[str, ...]


class Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A mapping of the file: strict, so that a mistyped key is an error and not a silent nothing."""


class Dockerfile(Keys, frozen=True):
    """The user's own Dockerfile, built as it is."""

    dockerfile: Annotated[str, Meta(description="Path of the Dockerfile, from this folder.")] = "Dockerfile"
    context: Annotated[str, Meta(description="The folder that COPY copies from.")] = "."
    target: Annotated[str, Meta(description="The stage to build. Default: the last.")] = ""


class Step(Keys, frozen=True):
    """A command of the build."""

    command: Annotated[str, Meta(description="For /bin/sh, as root.", min_length=1)]
    gpu: Annotated[bool, Meta(description="The step needs the driver and a GPU.")] = False


class User(Keys, frozen=True):
    """Who works in the container. Default: who starts it."""

    name: Annotated[str, Meta(pattern=_USER)] | None = None
    uid: Annotated[int, Meta(ge=1, le=2**32 - 2)] | None = None
    gid: Annotated[int, Meta(ge=1, le=2**32 - 2)] | None = None
    shell: Annotated[Literal["bash", "zsh", "sh"], Meta(description="The login shell.")] = "bash"
    multiplexer: Annotated[
        Literal["tmux", "screen"] | None, Meta(description="Installed, so that work goes on when a terminal closes.")
    ] = None
    sudo: Annotated[
        bool, Meta(description="sudo without a password. Whoever gets into the container is root in it then.")
    ] = False


class Resources(Keys, frozen=True):
    """Limits, with docker's words and meaning. What is not named is not limited."""

    memory: Annotated[Size, Meta(description="Memory: 32g.")] | None = None
    memory_swap: Annotated[Size, Meta(description="Memory and swap together; -1: swap without limit.")] | None = None
    cpus: Annotated[float, Meta(gt=0, description="How many CPUs' time: 4, 1.5.")] | None = None
    cpuset: Annotated[str, Meta(pattern=_CPUS, description="Which CPUs: 0-3,8.")] | None = None
    shm_size: Annotated[Size, Meta(description="Shared memory, which data loaders use: 16g.")] | None = None
    pids: Annotated[int, Meta(ge=-1, description="How many processes and threads; -1: not limited.")] | None = None


class Secret(Keys, frozen=True):
    """What nobody else may read: a file at /run/secrets/NAME in the container, never in the image."""

    file: Annotated[str, Meta(description="A file of this machine: ~ and paths from this folder work.")] = ""
    environment: Annotated[str, Meta(description="A variable of who starts the container.")] = ""


class Service(Keys, frozen=True):
    """Something that answers on a port. jupyter, tensorboard, code and ssh are known and need nothing here."""

    command: Annotated[str | Words | None, Meta(description="For another service: what to run.")] = None
    port: Annotated[Port | None, Meta(description="In the container. Default: the service's usual one.")] = None
    host_port: Annotated[Port | None, Meta(description="On this machine. Default: as port, or the next free.")] = None
    address: Annotated[str, Meta(description="Of this machine, to listen on. 0.0.0.0: every network.")] = "127.0.0.1"
    health: Annotated[str, Meta(description="Path that answers when the service is ready: /api.")] = ""
    version: Annotated[Version | None, Meta(description="Of the service's program. Default: the newest.")] = None
    logdir: Annotated[str | None, Meta(description="tensorboard: the log folder. Default: runs.")] = None
    extensions: Annotated[
        tuple[Extension, ...],
        Meta(description="code: extensions that the image gets, from Open VSX: ms-python.python, or with @VERSION."),
    ] = ()


class Healthcheck(Keys, frozen=True):
    """As compose has it."""

    test: Annotated[str | Words, Meta(description="A command that ends with 0 when all is well.")]
    interval: str = "30s"
    timeout: str = "30s"
    start_period: str = "0s"
    retries: Annotated[int, Meta(ge=1)] = 3


class Recipe(Keys, frozen=True, rename={"from_": "from"}):
    """An environment: what its image is made of, and how its container runs."""

    name: Annotated[str, Meta(description="Of the environment. Default: the folder's.")] = ""
    base: Annotated[
        str, Meta(description="The image to begin with, any one with apt. Default: a plain one; wheels bring CUDA.")
    ] = ""
    from_: Annotated[
        str | Dockerfile | None, Meta(description="Your own Dockerfile instead; it may have ARG user_id and group_id.")
    ] = None
    python_version: Annotated[Version | None, Meta(description='In quotes: "3.12".')] = None
    framework: Annotated[
        str | dict[str, str | None] | None,
        Meta(
            description='pytorch, tensorflow or jax, with a version where it matters: {pytorch: "2.12"}.',
            examples=["pytorch", {"pytorch": "2.12"}],
        ),
    ] = None
    cuda: Annotated[
        str,
        Meta(
            description="auto: what framework, driver and GPUs allow; none; or a version in quotes.",
            pattern=_CUDA,
        ),
    ] = "auto"
    python_requirements: Annotated[str, Meta(description="A requirements.txt of this folder.")] = ""
    python_packages: Annotated[Words, Meta(description="Packages as pip writes them: numpy>=2.")] = ()
    conda_environment: Annotated[str, Meta(description="An environment.yml of this folder.")] = ""
    system_packages: Annotated[Words, Meta(description="Packages of the base's own distribution, by apt.")] = ()
    args: Annotated[dict[str, str], Meta(description="Build arguments of your Dockerfile and the steps.")] = {}
    run: Annotated[
        tuple[str | Step, ...], Meta(description="Commands of the build, after everything else was installed.")
    ] = ()
    user: User = User()
    gpus: Annotated[
        str,
        Meta(description="As docker's --gpus: 1 (a free one), all, device=0,2. Default: none."),
    ] = ""
    resources: Resources = Resources()
    volumes: Annotated[
        Words, Meta(description="As docker's -v. This folder is at /workspace without being named.")
    ] = ()
    ports: Annotated[
        Words,
        Meta(description="As docker's -p: 127.0.0.1:6007:6007."),
    ] = ()
    env: Annotated[
        dict[str, str | None],
        Meta(description="Variables in the container; without a value: that of who starts it."),
    ] = {}
    env_file: Annotated[str | Words, Meta(description="Files with variables.")] = ()
    secrets: Annotated[dict[str, Secret], Meta(description="Files at /run/secrets, never in the image.")] = {}
    devices: Annotated[
        Words, Meta(description="camera (every /dev/video*), usb, or paths as docker's --device: /dev/ttyACM0.")
    ] = ()
    display: Annotated[Literal["none", "x11", "vnc"], Meta(description="Where windows appear.")] = "none"
    services: Annotated[
        dict[str, Service | None], Meta(description="jupyter, tensorboard, code, ssh, or any command with a port.")
    ] = {}
    healthcheck: Healthcheck | None = None

    @property
    def dockerfile(self) -> Dockerfile | None:
        return Dockerfile(dockerfile=self.from_) if isinstance(self.from_, str) else self.from_

    @property
    def framework_name(self) -> str:
        """ "" for none."""
        return self._framework[0]

    @property
    def framework_version(self) -> str:
        """ "" where any will do."""
        return self._framework[1]

    @property
    def _framework(self) -> tuple[str, str]:
        if isinstance(self.framework, dict):
            name, version = next(iter(self.framework.items()))
            return name, version or ""
        return ("" if self.framework in {None, "none"} else str(self.framework)), ""

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(Step(command=each) if isinstance(each, str) else each for each in self.run)

    @property
    def env_files(self) -> Words:
        return (self.env_file,) if isinstance(self.env_file, str) else self.env_file

    @property
    def served(self) -> dict[str, Service]:
        return {name: service or Service() for name, service in self.services.items()}


# The file's own text is taken, so that 3.10 is not 3.1; a schema sees YAML's types, and allows what is harmless.
_ALSO_NUMBERS = ("memory", "memory_swap", "shm_size", "gpus", "ports", "env", "args")


def schema() -> dict[str, Any]:
    """The JSON Schema of the file."""
    found = msgspec.json.schema(Recipe)
    for name in ("Recipe", "Resources"):
        for key, described in found["$defs"][name]["properties"].items():
            if key in _ALSO_NUMBERS:
                _widen(described)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "gpudock.yaml", **found}


def _widen(described: dict[str, Any]) -> None:
    if described.get("type") == "string":
        described["type"] = ["string", "number", "boolean"]
    for inner in (*described.get("anyOf", ()), described.get("items"), described.get("additionalProperties")):
        if isinstance(inner, dict):
            _widen(inner)
