"""Writes the tables of docs/metrics.md from the families that are exported. A test fails when they differ."""

import sys
from pathlib import Path

from gpudock.monitor import metrics_dcgm, metrics_own, metrics_people, metrics_smi
from gpudock.monitor.metric import Family
from gpudock.monitor.metrics_small import SMALL

PAGE = Path(__file__).resolve().parent.parent / "docs/metrics.md"
BEGIN, END = "<!-- tables: tools/metrics_docs.py -->", "<!-- end -->"


def tables() -> str:
    parts = [
        "### gpudock",
        _table([(each, metrics_own.labels_of(each)) for each in metrics_own.FAMILIES]),
        _table([(each, metrics_people.labels_of(each)) for each in metrics_people.FAMILIES]),
        "With `--process-series`:",
        _table([(each, metrics_people.labels_of(each)) for each in metrics_people.OF_PROCESSES]),
        "### dcgm",
        "Labels: " + ", ".join(f"`{each}`" for each in metrics_dcgm.LABELS) + ".",
        _table([(each, "") for each in metrics_dcgm.FAMILIES]),
        "### nvidia_smi",
        "Label: `uuid`, without `GPU-`. `gpu_info` and `mig_info` have more.",
        _table([(each, "") for each in metrics_smi.FAMILIES]),
        "With `--process-series`:",
        _table([(each, "uuid, pid, process_name") for each in metrics_smi.OF_PROCESSES]),
    ]
    for name, small in SMALL.items():
        parts += [f"### --compat {name} (port {small.port})", _table([(each, "") for each in small.families])]
    return "\n\n".join(parts)


def _table(rows: list[tuple[Family, str]]) -> str:
    labelled = any(labels for _, labels in rows)
    lines = [
        "| name | type | what |" + (" labels |" if labelled else ""),
        "|---|---|---|" + ("---|" if labelled else ""),
    ]
    lines += [
        f"| `{each.name}` | {each.kind} | {each.help} |" + (f" {labels} |" if labelled else "") for each, labels in rows
    ]
    return "\n".join(lines)


def page(text: str) -> str:
    """The page with its tables renewed."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
    sys.exit(0)
