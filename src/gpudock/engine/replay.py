"""What `run` would do on the machine of a snapshot. Pure: nobody is asked."""

from gpudock.engine.base import KIND, Answer, Client, Wish, plain
from gpudock.engine.decide import decide
from gpudock.engine.docker import Docker
from gpudock.engine.endpoint import LOCAL, Endpoint
from gpudock.engine.offer import NamesOffer, Offer, PlanOffer
from gpudock.engine.podman import Podman
from gpudock.errors import EngineError, UsageError
from gpudock.facts.base import Missing
from gpudock.facts.engine import Engine
from gpudock.facts.snapshot import Snapshot
from gpudock.gpu.compile import USUAL, compile_plan
from gpudock.gpu.devices import text
from gpudock.plan.quote import quote
from gpudock.plan.request import NONE, VOID

NAMES = ("docker", "podman")  # best first, as on this machine


def replay(snapshot: Snapshot, wish: Wish) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The command that would run there, the image unseen, and what would be said before. Raises GpudockError."""
    engine = _engine(snapshot, wish.arguments.own.get("engine"))
    client = _client(engine)
    if wish.request.devices in {NONE, VOID}:
        return plain(client, wish.verb, wish.arguments.flags, wish.arguments.rest), ()
    decision = decide(client, _answer(engine), wish, None, _offer(snapshot, wish))
    return decision.argv, decision.notes


def _engine(snapshot: Snapshot, wanted: str | None) -> Engine:
    if wanted and wanted not in NAMES:
        raise UsageError(f"--engine {quote(wanted)} is not an engine.", mend="use docker or podman")
    found = () if isinstance(snapshot.engines, Missing) else snapshot.engines
    there = {engine.name: engine for engine in found}
    named = [there[name] for name in ((wanted,) if wanted else NAMES) if name in there]
    if not named:
        reason = snapshot.engines.reason if isinstance(snapshot.engines, Missing) else "it was not installed there"
        raise EngineError(
            f"The snapshot knows no {wanted or 'docker and no podman'}.",
            why=reason,
            mend="take it with the engine on PATH: gpudock host snapshot -o FILE",
        )
    usable = [engine for engine in named if engine.problem is None]
    if not usable:
        raise EngineError(f"{named[0].name} was not usable there.", why=quote(named[0].problem or "", 300))
    return usable[0]


def _client(engine: Engine) -> Client:
    if engine.name == "podman":
        return Podman("podman", Endpoint("unix://"))
    return Docker("docker", Endpoint(LOCAL), {}, "")


def _answer(engine: Engine) -> Answer:
    version = engine.version if isinstance(engine.version, str) else ""
    return Answer(version, engine.cdi is True, engine.cdi_folders, engine.runtimes)


def _offer(snapshot: Snapshot, wish: Wish) -> Offer:
    """Our own plan, or the names of somebody else's specification where that is the only one."""
    specs = [spec for spec in snapshot.cdi_specs if spec.kind == KIND]
    if specs and all(spec.plan is None for spec in specs):
        nvml = None if isinstance(snapshot.nvml, Missing) else snapshot.nvml
        cuda = text(nvml.cuda) if nvml else ""
        return NamesOffer(specs[-1].devices, specs[-1].path, text(snapshot.kernel_driver.version), cuda, snapshot.gpus)
    asked = wish.request.capabilities
    wanted = (*USUAL, asked) if asked and asked not in USUAL else USUAL
    return PlanOffer(compile_plan(snapshot, trees="", wanted=wanted).plan)
