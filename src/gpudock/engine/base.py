"""What docker and podman have in common: the questions asked of them, and the values that decisions are made of."""

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:  # start-up time: the engine is asked before these are needed
    from gpudock.engine.endpoint import Endpoint
    from gpudock.engine.flags import Arguments
    from gpudock.engine.offer import Chosen
    from gpudock.errors import EngineError
    from gpudock.plan.request import Request
    from gpudock.proc import Result

KIND = "nvidia.com/gpu"


class Answer(NamedTuple):
    """What an engine says of itself, as far as it matters here (facts.engine is the long form)."""

    version: str = ""  # of the server where there is one; "" when it does not tell
    cdi: bool = False  # it applies CDI specifications
    cdi_folders: tuple[str, ...] = ()
    runtimes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()  # CDI names that it has found, when it tells
    remote: bool = False  # it is on another machine, or in a virtual one
    problem: str | None = None  # why it cannot be used, in its own words


class Client(Protocol):
    """The command line program of an engine, told which engine to reach."""

    @property
    def name(self) -> str: ...

    @property
    def endpoint(self) -> "Endpoint": ...

    @property
    def words(self) -> tuple[str, ...]:
        """How every command begins: ("docker", "--context", "lab")."""

    @property
    def question(self) -> tuple[str, ...]:
        """The one quick command that tells what the engine can do."""

    @property
    def beside_devices(self) -> tuple[str, ...]:
        """Flags that a container with CDI devices needs besides --device."""

    def understand(self, result: "Result") -> Answer: ...

    def looking_in(self, folder: str, answer: Answer) -> "Client | None":
        """The same client, made to look for CDI specifications in this folder; None when it cannot be told."""

    def unusable(self, problem: str) -> "EngineError":
        """The error for an engine that does not answer, with the way out."""

    def without_mechanism(self, answer: Answer) -> "EngineError":
        """The error for an engine that has no way to give a container a GPU."""


class Wish(NamedTuple):
    """What the user wants, as far as the command line tells."""

    verb: str  # "run" or "create"
    arguments: "Arguments"
    request: "Request"
    environment: dict[str, str | None]  # set by -e and --env-file; None takes a variable away


class Mechanism(NamedTuple):
    """How a container gets its GPUs: by CDI device names, or by an OCI runtime that reads variables."""

    runtime: str | None = None  # None: CDI


class Decision(NamedTuple):
    argv: tuple[str, ...]
    chosen: "Chosen"
    notes: tuple[str, ...]  # said on standard error before the engine starts


def plain(client: Client, verb: str, flags: tuple[str, ...], rest: tuple[str, ...]) -> tuple[str, ...]:
    """The engine's command line: what gpudock adds stands between the user's flags and the image."""
    return (*client.words, verb, *flags, *rest)
