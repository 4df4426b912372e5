"""A Sample as plain text: the GPUs, and who is on them."""

import unicodedata
from collections.abc import Sequence

from gpudock.facts.base import Missing
from gpudock.monitor import troubles
from gpudock.monitor.sample import TWO_LOOKS, Gpu, Process, Sample
from gpudock.monitor.words import known, moment, share, size, span, whole

LEAST = 8  # columns that a column of names keeps

Row = tuple[str, ...]


def render(sample: Sample, width: int = 0) -> str:
    """Lines for a terminal, whatever is in the names: they are made harmless where they are shown.

    `width`: names are shortened so that tables need no more; 0: nothing is.
    """
    parts = [_head(sample, width)]
    if isinstance(sample.gpus, Missing):
        parts.append(f"No GPU can be shown: {sample.gpus.reason}.\n`gpudock doctor` looks for the cause.")
    elif not sample.gpus:
        parts.append("This machine has no GPU that the driver sees. `gpudock doctor` looks for the cause.")
    else:
        gpus = [row for gpu in sample.gpus for row in _gpu(gpu, sample)]
        parts.append(aligned([GPU_HEAD, *gpus], {2, 3, 4, 5}, width))
        notes = (*_faults(sample.gpus, sample.time), *sample.problems, *_early(sample.gpus))
        parts += ["", *(f"note: {each}" for each in notes)] if notes else []
        rows = [_process(each, sample) for each in sample.processes]
        untold = any(gpu.untold for gpu in sample.gpus)
        nobody = "Who uses the GPUs is not known." if untold else "No process uses a GPU."
        parts.append(aligned([PROCESS_HEAD, *rows], {0, 2, 3}, width) if rows else nobody)
    return "\n".join(parts)


def _faults(gpus: Sequence[Gpu], now: float) -> list[str]:
    """So short a look hears of no Xid, but of what lasts."""
    found = ((gpu.index, " · ".join(troubles.faults(gpu, now))) for gpu in gpus)
    return [f"GPU {index}: {said}" for index, said in found if said]


def beginning(text: str, columns: int, lines: int) -> str:
    """What of it has room on a terminal, and how much more there is: what has scrolled away is not drawn over again."""
    every = text.split("\n")
    taken = [max(1, -(-_width(each) // columns)) for each in every]
    if sum(taken) < lines:  # the cursor stands in the last one
        return text
    shown = 0
    while sum(taken[: shown + 1]) < lines - 1:
        shown += 1
    return "\n".join([*every[:shown], f"… {len(every) - shown} lines more: gpudock top"])


def _early(gpus: Sequence[Gpu]) -> list[str]:
    """MIG instances are measured from one look to the next."""
    waiting = any(each.utilization == TWO_LOOKS for gpu in gpus for each in gpu.instances)
    return ["how busy MIG instances are is known after ten seconds: gpudock status --watch"] if waiting else []


def _head(sample: Sample, width: int) -> str:
    said = f"   {moment(sample.time)}"
    if isinstance(sample.driver, str):
        said += f"   driver {sample.driver}"
    if isinstance(sample.cuda, str):
        said += f"   CUDA {sample.cuda}"
    host = _cut(sample.host, max(width - len(said), LEAST)) if width else sample.host
    return host + said + (f"\nOLD: nothing was read for {span(sample.age)}" if sample.stale else "")


GPU_HEAD = ("GPU", "NAME", "UTIL", "MEMORY", "POWER", "TEMP", "HELD BY")
PROCESS_HEAD = ("PID", "GPU", "MEMORY", "UTIL", "OWNER", "CONTAINER", "PROGRAM")


def _gpu(gpu: Gpu, sample: Sample) -> list[Row]:
    nobody = "?" if gpu.untold else "-"
    holders = dict.fromkeys(_owner(each) for each in sample.processes if each.gpu == gpu.uuid)
    idle = f" (idle {span(gpu.idle)})" if gpu.idle is not None and gpu.idle >= 60 and holders else ""
    limit = gpu.power.enforced if not isinstance(gpu.power.enforced, Missing) else gpu.power.limit
    power = whole(gpu.power.draw) + ("" if isinstance(limit, Missing) else f"/{limit:.0f}") + " W"
    rows: list[Row] = [
        (
            str(gpu.index),
            known(gpu.name).removeprefix("NVIDIA "),
            known(gpu.load, " %"),
            share(gpu.memory.used, gpu.memory.total),
            power,
            known(gpu.temperature.gpu, " C"),
            ", ".join(holders) + idle or nobody,
        )
    ]
    for each in gpu.instances:
        inside = [one for one in sample.processes if (one.gpu, one.gi, one.ci) == (gpu.uuid, each.gi, each.ci)]
        who = ", ".join(dict.fromkeys(map(_owner, inside))) or nobody
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


def aligned(rows: Sequence[Row], right: set[int], width: int = 0) -> str:
    """Columns, those in `right` of figures. `width`: the longest of the others are shortened to it; 0: none is."""
    plain = [tuple(map(_plain, row)) for row in rows]
    widths = [max(map(_width, column)) for column in zip(*plain, strict=True)]
    names = [place for place in range(len(widths)) if place not in right]
    while width and sum(widths) + 2 * (len(widths) - 1) > width:
        longest = max(names, key=widths.__getitem__)
        if widths[longest] <= LEAST:
            break
        widths[longest] -= 1
    lines = []
    for row in plain:
        cells = [_cut(cell, room) for cell, room in zip(row, widths, strict=True)]
        cells = [
            " " * (room - _width(cell)) + cell if place in right else cell + " " * (room - _width(cell))
            for place, (cell, room) in enumerate(zip(cells, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n" + "\n".join(lines)


def _plain(text: str) -> str:
    """On one line: what has no place in a table is shown as "?"."""
    return text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)


def _cut(text: str, room: int) -> str:
    """Without its middle where it is too long: of names that begin alike the end tells."""
    if _width(text) <= room:
        return text
    head, tail = text[: room // 2], text[-((room - 1) // 2) :]
    while _width(head) > room // 2:
        head = head[:-1]
    while _width(tail) > (room - 1) // 2:
        tail = tail[1:]
    return f"{head}…{tail}"


def _width(text: str) -> int:
    """Columns of a terminal: characters of East Asia take two."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)
