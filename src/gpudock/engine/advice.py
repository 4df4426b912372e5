"""What a user should know before a container starts, though nothing forbids it."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from gpudock.plan.quote import quote
from gpudock.plan.requirement import cuda_label

if TYPE_CHECKING:
    from gpudock.engine.offer import Chosen
    from gpudock.facts.gpu import Gpu, GpuProcess

CUDA_VISIBLE = "CUDA_VISIBLE_DEVICES"
CUDA_LABEL = "com.nvidia.cuda.version"
# A desktop's own programs hold its GPU all day long; nobody wants to hear of them.
_DESKTOP = frozenset(("Xorg", "Xwayland", "gnome-shell", "kwin_x11", "kwin_wayland", "mutter", "sddm-greeter"))
_SHOWN = 4


class Owner(NamedTuple):
    """Who runs a process, as the kernel tells."""

    uid: int
    user: str
    program: str


def cuda_visible(value: str | None, chosen: "Chosen") -> str | None:
    """A warning when CUDA_VISIBLE_DEVICES names GPUs that the container does not have: it numbers its own from 0."""
    names = [name.strip() for name in (value or "").split(",")]
    outside = [name for name in names if name.isdecimal() and 0 <= chosen.number <= int(name)]
    outside += [
        name
        for name in names
        if name.startswith(("GPU-", "MIG-"))
        and chosen.uuids
        and not any(each.startswith(name) for each in chosen.uuids)
    ]
    if not outside:
        return None
    gpus = "1 GPU, number 0" if chosen.number == 1 else f"{chosen.number} GPUs, numbers 0 to {chosen.number - 1}"
    return (
        f"{CUDA_VISIBLE}={quote(value or '')} hides GPUs: inside, {quote(outside[0])} does not exist. "
        f"A container counts its own GPUs from 0, and this one gets {gpus}."
    )


def cuda_version(labels: dict[str, str], chosen: "Chosen") -> str | None:
    label = labels.get(CUDA_LABEL)
    return cuda_label(label, chosen.properties.cuda) if label and chosen.properties.cuda else None


def privileged(value: str | None, chosen: "Chosen") -> str | None:
    if value is None or chosen.everything or not _true(value):
        return None
    return "--privileged gives the container every device of the machine, so also the GPUs that were not asked for."


def _true(value: str) -> bool:
    return value in {"1", "t", "T", "TRUE", "true", "True"}


def busy(gpus: "Iterable[Gpu]", chosen: "Chosen", owner: Callable[[int], Owner | None], *, uid: int) -> Iterator[str]:
    """A warning for each chosen GPU on which somebody else computes. To root, everybody is somebody else."""
    for gpu in gpus:
        for name, processes in _used(gpu, chosen.uuids):
            others = [
                f"{process.pid} ({found.program}, of {found.user})"
                for process in processes
                if (found := owner(process.pid)) and found.program not in _DESKTOP and (found.uid != uid or uid == 0)
            ]
            if others:
                more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
                plural = "processes" if len(others) > 1 else "process"
                yield f"GPU {name} is in use by {plural} {', '.join(others[:_SHOWN])}{more}."


def _used(gpu: "Gpu", uuids: tuple[str, ...]) -> "Iterator[tuple[str, list[GpuProcess]]]":
    """The processes on those of a GPU's parts that were chosen, by the part's name."""
    processes = gpu.processes if isinstance(gpu.processes, tuple) else ()
    if gpu.uuid in uuids:
        yield str(gpu.index), list(processes)
    for instance in gpu.instances:
        if instance.uuid in uuids:
            own = [each for each in processes if (each.gi, each.ci) == (instance.gi, instance.ci)]
            yield f"{gpu.index}:{instance.index}", own
