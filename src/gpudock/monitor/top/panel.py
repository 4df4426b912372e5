"""One line for each GPU, as pieces of text with the name of their style: how busy, how full, how hot, and who."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gpudock.facts.base import Missing
from gpudock.monitor import figures, troubles, words
from gpudock.monitor.sample import Gpu, Instance, Process, Sample
from gpudock.plan.quote import quote

IDLE_AFTER = 300.0  # seconds: a shorter pause is how people work
_NEAR = 3  # degrees below the limit


class Piece(NamedTuple):
    text: str
    style: str = ""  # "load", "memory", "track", "quiet", "warn", "bad", "strong", "person"


Line = tuple[Piece, ...]


class _Widths(NamedTuple):
    """What has room at a width of the terminal; 0: left out."""

    name: int
    bar: int
    spark: int
    watts: bool


def lines(sample: Sample, before: Mapping[str, Sequence[float | None]], width: int, follow: str = "") -> list[Line]:
    """`before`: shares of utilization by GPU, the newest last. `follow`: only GPUs of this container."""
    if isinstance(sample.gpus, Missing):
        return [(Piece(f"No GPU can be shown: {quote(sample.gpus.reason, 200)}", "warn"),)]
    if not sample.gpus:
        return [(Piece("This machine has no GPU.", "warn"),)]
    container = sample.container(follow)
    shown = [each for each in sample.gpus if container is None or each.uuid in container.gpus]
    widths = _widths(width)
    found: list[Line] = []
    for gpu in shown:
        its = [each for each in sample.processes if each.gpu == gpu.uuid]
        found.append(_gpu(gpu, its, before.get(gpu.uuid, ()), widths, sample.time))
        found += (_instance(gpu, each, widths) for each in gpu.instances)
    return found


def _widths(width: int) -> _Widths:
    if width < 100:
        return _Widths(name=0, bar=10, spark=8, watts=False)
    if width < 130:
        return _Widths(name=0, bar=14, spark=14, watts=True)
    return _Widths(name=16, bar=min(30, 18 + (width - 130) // 4), spark=20, watts=True)


def _gpu(gpu: Gpu, processes: Sequence[Process], before: Sequence[float | None], widths: _Widths, now: float) -> Line:
    busy = gpu.load
    used, total = gpu.memory.used, gpu.memory.total
    share = used / total if isinstance(used, int) and isinstance(total, int) and total else None
    mark, style = _mark(gpu, processes)
    name = words.UNKNOWN if isinstance(gpu.name, Missing) else quote(gpu.name).removeprefix("NVIDIA ")
    return (
        Piece(f"{gpu.index:>2} ", "strong"),
        Piece(f"{mark} ", style),
        *((Piece(f"{name[: widths.name]:<{widths.name}} ", "quiet"),) if widths.name else ()),
        *_bar(busy / 100 if isinstance(busy, int) else None, widths.bar, "load"),
        Piece(f"{words.known(busy, ' %'):>6} "),
        Piece(figures.spark(before, widths.spark) + " ", "load"),
        *_bar(share, widths.bar, "memory"),
        Piece(f"{figures.part(used, total):>12} "),
        _degrees(gpu),
        *((_watts(gpu),) if widths.watts else ()),
        Piece(" "),
        *_faults(gpu, now, short=not widths.watts),
        *_who(gpu, processes, short=not widths.watts),
        *(Piece(f" {each}", "quiet") for each in troubles.crashes(gpu, now)),
    )


def _bar(share: float | None, width: int, style: str) -> tuple[Piece, Piece]:
    filled, track = figures.bar(share, width)
    return Piece(filled, style), Piece(track, "track")


def _mark(gpu: Gpu, processes: Sequence[Process]) -> tuple[str, str]:
    """A sign for the state, since a colour alone tells nothing to some."""
    if gpu.idle is not None and gpu.idle >= IDLE_AFTER:
        return "◐", "warn"
    if processes:
        return "●", "load"
    unknown = gpu.untold or (isinstance(gpu.utilization.gpu, Missing) and isinstance(gpu.memory.used, Missing))
    return ("?", "warn") if unknown else ("○", "quiet")


def _degrees(gpu: Gpu) -> Piece:
    text = words.known(gpu.temperature.gpu, "°C")
    here, limit = gpu.temperature.gpu, gpu.temperature.slowdown
    hot = isinstance(here, int) and isinstance(limit, int) and here >= limit - _NEAR
    return Piece(f"{text + '!' if hot else text:>5}", "bad" if hot else "")


def _watts(gpu: Gpu) -> Piece:
    limit = gpu.power.enforced if isinstance(gpu.power.enforced, float) else gpu.power.limit
    drawn = words.whole(gpu.power.draw)
    return Piece(f"{drawn + '/' + words.whole(limit, ' W'):>10}")


def _faults(gpu: Gpu, now: float, *, short: bool) -> list[Piece]:
    """Before who is on it, which is left out first where there is no room. `short`: the gravest alone."""
    found = troubles.faults(gpu, now)[: 1 if short else None]
    return [Piece(" · ".join(found) + "  ", "bad")] if found else []


def _who(gpu: Gpu, processes: Sequence[Process], *, short: bool) -> list[Piece]:
    found: list[Piece] = []
    people: dict[str, int] = {}
    for each in processes:
        name = each.owner.name if each.owner else each.user
        people[name] = people.get(name, 0) + (each.memory if isinstance(each.memory, int) else 0)
    for name in sorted(people, key=lambda one: (-people[one], one)):
        found += [Piece(", ", "quiet")] if found else []
        found.append(Piece(quote(name, 24) if name else words.UNKNOWN, "person"))
    if gpu.idle is not None and gpu.idle >= IDLE_AFTER:
        time = words.span(gpu.idle)
        found.append(Piece(f" idle {' '.join(time.split()[:2]) if short else time}", "warn"))
    return found


def _instance(gpu: Gpu, instance: Instance, widths: _Widths) -> Line:
    used, total = instance.memory.used, instance.memory.total
    share = used / total if isinstance(used, int) and isinstance(total, int) and total else None
    profile = words.UNKNOWN if isinstance(instance.profile, Missing) else quote(instance.profile, 16)
    before = 5 + (widths.name + 1 if widths.name else 0) + widths.bar
    busy = words.known(instance.utilization, " %")
    called = f"  {gpu.index}:{instance.index} MIG {profile}"
    return (
        Piece(f"{called:<{before}} {busy:>{max(5 - max(len(called) - before, 0), 0)}} {'':{widths.spark}} ", "quiet"),
        *_bar(share, widths.bar, "memory"),
        Piece(f"{figures.part(used, total):>12} "),
    )
