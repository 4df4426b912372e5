"""GPUs of an engine on another machine: this machine's plan says nothing about them, so they are asked for there."""

from gpudock import proc
from gpudock.engine import endpoint
from gpudock.engine.base import KIND, Answer
from gpudock.engine.offer import NamesOffer
from gpudock.errors import EngineError, InputError
from gpudock.facts.base import Missing
from gpudock.facts.snapshot import Snapshot
from gpudock.host import codec
from gpudock.plan.quote import quote

SECONDS = 30.0
SNAPSHOT = ("gpudock", "host", "snapshot", "-o", "-")


def offer(answer: Answer, address: str, run: proc.Runner) -> tuple[NamesOffer, tuple[str, ...]]:
    """The devices of the other machine, and notes. Raises EngineError when nobody there tells."""
    source = f"the machine of {quote(address)}"
    told, why = snapshot(address, run)
    if told is not None:
        found = of_snapshot(told, source)
        if found.names:
            return found, ()
        why = f"it has no CDI specification of kind {KIND}"
    names = tuple(name.partition("=")[2] for name in answer.devices if name.startswith(KIND + "="))
    if names:
        note = f"{source} does not tell its facts ({quote(why, 200)}); its docker lists the devices."
        return NamesOffer(names, source), (note,) if endpoint.ssh(address) is not None else ()
    raise EngineError(
        f"The GPUs of {source} are not known here.",
        why=quote(why, 300),
        mend="there, install gpudock and run: sudo gpudock refresh; or run gpudock on that machine",
    )


def snapshot(address: str, run: proc.Runner) -> tuple[Snapshot | None, str]:
    """What gpudock on the machine of an engine sees of it; else why that is not known."""
    way = endpoint.ssh(address)
    if way is None:
        return None, "it is not reached by ssh, and its docker does not list CDI devices (28.2 and newer do)"
    result = run(proc.Command((*way, *SNAPSHOT), timeout=SECONDS))
    try:
        return (codec.decode(result.out.encode()), "") if result.ok else (None, _last_line(result))
    except InputError as error:
        return None, error.why


def of_snapshot(snapshot: Snapshot, source: str) -> NamesOffer:
    """The device names that the machine of a snapshot has, with what it tells of its driver."""
    names = tuple(name for spec in snapshot.cdi_specs if spec.kind == KIND for name in spec.devices)
    cuda = "" if isinstance(snapshot.nvml, Missing) else snapshot.nvml.cuda
    driver = snapshot.kernel_driver.version
    return NamesOffer(
        names,
        source,
        driver="" if isinstance(driver, Missing) else driver,
        cuda="" if isinstance(cuda, Missing) else cuda,
        gpus=snapshot.gpus,
        simulated=snapshot.roots.simulated,
    )


def _last_line(result: proc.Result) -> str:
    lines = [line for line in result.err.splitlines() if line.strip()]
    return lines[-1] if lines else f"gpudock there ended with exit code {result.code}"
