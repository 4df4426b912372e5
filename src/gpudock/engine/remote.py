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
    way = endpoint.ssh(address)
    why = "it is not reached by ssh, and its docker does not list CDI devices (28.2 and newer do)"
    if way is not None:
        result = run(proc.Command((*way, *SNAPSHOT), timeout=SECONDS))
        try:
            found = of_snapshot(codec.decode(result.out.encode()), source) if result.ok else None
        except InputError as error:
            found, why = None, error.why
        else:
            why = _last_line(result)
        if found is not None and found.names:
            return found, ()
        if found is not None:
            why = f"it has no CDI specification of kind {KIND}"
    names = tuple(name.partition("=")[2] for name in answer.devices if name.startswith(KIND + "="))
    if names:
        note = f"{source} does not tell its facts ({quote(why, 200)}); its docker lists the devices."
        return NamesOffer(names, source), (note,) if way is not None else ()
    raise EngineError(
        f"The GPUs of {source} are not known here.",
        why=quote(why, 300),
        mend="there, install gpudock and run: sudo gpudock refresh; or run gpudock on that machine",
    )


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
