"""What the administrator decided for container start, compiled by `refresh` into a file beside this program."""

from gpudock.errors import HostError
from gpudock.plan.value import Value
from gpudock.start import parse, plans

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LIMIT = 1 << 16  # bytes


class Settings(Value):
    """As `refresh` wrote them, see refresh/settings.py and refresh/install.py."""

    __slots__ = (
        "annotations",
        "disable_require",
        "environment",
        "lookup",
        "mounts",
        "refresh",
        "specs",
        "swarm",
        "unprivileged",
        "withhold",
    )
    annotations: bool  # they may ask for GPUs where variables may not
    disable_require: bool
    environment: "dict[str, str]"  # of the refresh command
    lookup: str  # walk or openat2
    mounts: bool  # mounts below /var/run/nvidia-container-devices may ask for GPUs
    refresh: "tuple[str, ...]"  # the command that makes the plan fit the machine again, () when there is none
    specs: "tuple[str, ...]"  # where our CDI specification may be, which names the plan: for engines, or for us alone
    swarm: "tuple[str, ...]"  # variables that stand for NVIDIA_VISIBLE_DEVICES
    unprivileged: bool  # variables may ask for GPUs in containers that are not privileged
    withhold: bool  # the hook of device_files.py is added

    def __init__(self, **fields: "Any") -> None:  # noqa: ANN401  checked by read()
        self._set(**fields)


DEFAULT = Settings(
    annotations=False,
    disable_require=False,
    environment={},
    lookup="walk",
    mounts=False,
    refresh=(),
    specs=("/var/run/cdi/gpudock.json", "/run/gpudock/gpudock.json"),
    swarm=(),
    unprivileged=True,
    withhold=False,
)


def read(path: str) -> Settings:
    """Raises HostError when the file is not as refresh writes it."""
    value = parse.json(plans.trusted(path, _LIMIT), path, mend="sudo gpudock refresh")
    try:
        return Settings(
            annotations=bool(value["annotations"]),
            disable_require=bool(value["disable_require"]),
            environment={str(name): str(text) for name, text in value["environment"].items()},
            lookup=str(value["lookup"]),
            mounts=bool(value["mounts"]),
            refresh=tuple(map(str, value["refresh"])),
            specs=tuple(map(str, value["specs"])),
            swarm=tuple(map(str, value["swarm"])),
            unprivileged=bool(value["unprivileged"]),
            withhold=bool(value["withhold"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise HostError(f"{path} is not usable.", why=repr(error), mend="sudo gpudock refresh") from error
