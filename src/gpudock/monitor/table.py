"""A Sample as plain text: the GPUs, and who is on them."""

import unicodedata
from collections.abc import Sequence

from gpudock.facts.base import Missing
from gpudock.monitor.sample import TWO_LOOKS, Gpu, Process, Sample
from gpudock.monitor.words import known, moment, share, size, span, whole

SHORT = 40  # characters of a name

Row = tuple[str, ...]


def render(sample: Sample) -> str:
    """Lines for a terminal, whatever is in the names: they are made harmless where they are shown."""
    parts = [_head(sample)]
    if isinstance(sample.gpus, Missing):
        parts.append(f"No GPU can be shown: {sample.gpus.reason}.\n`gpudock doctor` looks for the cause.")
    elif not sample.gpus:
        parts.append("This machine has no GPU that the driver sees. `gpudock doctor` looks for the cause.")
    else:
        parts.append(
            aligned([GPU_HEAD, *(row for gpu in sample.gpus for row in _gpu(gpu, sample))], right={2, 3, 4, 5})
        )
        rows = [_process(each, sample) for each in sample.processes]
        parts.append(aligned([PROCESS_HEAD, *rows], right={0, 2, 3}) if rows else "No process uses a GPU.")
    notes = [f"note: {each}" for each in (*sample.problems, *_early(sample)) if not isinstance(sample.gpus, Missing)]
    return "\n".join([*parts, *notes])


def _early(sample: Sample) -> list[str]:
    """MIG instances are measured from one look to the next."""
    gpus = () if isinstance(sample.gpus, Missing) else sample.gpus
    waiting = any(each.utilization == TWO_LOOKS for gpu in gpus for each in gpu.instances)
    return ["how busy MIG instances are is known after ten seconds: gpudock status --watch"] if waiting else []


def _head(sample: Sample) -> str:
    said = [sample.host, moment(sample.time)]
    if isinstance(sample.driver, str):
        said.append(f"driver {sample.driver}")
    if isinstance(sample.cuda, str):
        said.append(f"CUDA {sample.cuda}")
    if sample.stale:
        said.append(f"OLD: nothing was read for {span(sample.age)}")
    return "   ".join(said)


GPU_HEAD = ("GPU", "NAME", "UTIL", "MEMORY", "POWER", "TEMP", "HELD BY")
PROCESS_HEAD = ("PID", "GPU", "MEMORY", "UTIL", "OWNER", "CONTAINER", "PROGRAM")


def _gpu(gpu: Gpu, sample: Sample) -> list[Row]:
    holders = dict.fromkeys(_owner(each) for each in sample.processes if each.gpu == gpu.uuid)
    idle = f" (idle for {span(gpu.idle)})" if gpu.idle is not None and gpu.idle >= 60 and holders else ""
    limit = gpu.power.enforced if not isinstance(gpu.power.enforced, Missing) else gpu.power.limit
    power = whole(gpu.power.draw) + ("" if isinstance(limit, Missing) else f" / {limit:.0f}") + " W"
    rows: list[Row] = [
        (
            str(gpu.index),
            known(gpu.name),
            known(gpu.load, " %"),
            share(gpu.memory.used, gpu.memory.total),
            power,
            known(gpu.temperature.gpu, " C"),
            ", ".join(holders) + idle or "-",
        )
    ]
    for each in gpu.instances:
        inside = [one for one in sample.processes if (one.gpu, one.gi, one.ci) == (gpu.uuid, each.gi, each.ci)]
        who = ", ".join(dict.fromkeys(map(_owner, inside))) or "-"
        memory = share(each.memory.used, each.memory.total)
        rows.append(
            (
                f"{gpu.index}:{each.index}",
                f"  MIG {known(each.profile)}",
                known(each.utilization, " %"),
                memory,
                "",
                "",
                who,
            )
        )
    return rows


def _process(process: Process, sample: Sample) -> Row:
    gpu = sample.gpu(process.gpu)
    place = known(gpu.index) if gpu else process.gpu
    if gpu and process.gi is not None:
        found = [each.index for each in gpu.instances if (each.gi, each.ci) == (process.gi, process.ci)]
        place += f":{found[0]}" if found else f" gi{process.gi}"
    container = sample.container(process.container)
    return (
        str(process.pid),
        place,
        size(process.memory),
        known(process.utilization.gpu, " %"),
        _owner(process),
        container.label if container else process.pod.name if process.pod else "-",
        process.command or process.name or "?",
    )


def _owner(process: Process) -> str:
    return process.owner.name if process.owner else "?"


def aligned(rows: Sequence[Row], right: set[int]) -> str:
    """Columns; the last one is not filled up."""
    cut = [(*(_cut(_plain(cell)) for cell in row[:-1]), _plain(row[-1])) for row in rows]
    widths = [max(map(_width, column)) for column in zip(*cut, strict=True)]
    lines = []
    for row in cut:
        cells = [
            " " * (width - _width(cell)) + cell if place in right else cell + " " * (width - _width(cell))
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n" + "\n".join(lines)


def _plain(text: str) -> str:
    """On one line: what has no place in a table is shown as "?"."""
    return text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)


def _cut(text: str) -> str:
    return text if len(text) <= SHORT else text[: SHORT - 1] + "…"


def _width(text: str) -> int:
    """Columns of a terminal: characters of East Asia take two."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)
