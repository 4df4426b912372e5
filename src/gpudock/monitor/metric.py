"""Prometheus' text format, written plainly: a scrape costs a fifth of what prometheus_client takes (docs/metrics.md).

A family is data, so that what is exported and what docs/metrics.md lists are one thing.
"""

import functools
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from gpudock.facts.base import Missing

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LONGEST = 128  # characters of a label's value: most of them are other people's words

Kind = Literal["gauge", "counter"]
Value = bool | float | Missing | None  # what is missing is left out, never 0
Labels = tuple[tuple[str, str], ...]
Series = tuple[str, Value]  # its labels as `written` makes them


class Family(NamedTuple):
    name: str
    kind: Kind
    help: str


class Metric(NamedTuple):
    family: Family
    series: Sequence[Series]


_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


def written(labels: Iterable[tuple[str, str]]) -> str:
    """{name="value",...}; labels without a value are left out, which means the same."""
    return _written(tuple(labels))


@functools.lru_cache(maxsize=4096)
def _written(labels: Labels) -> str:
    """Most labels are the same from sample to sample."""
    parts = [f'{name}="{value[:LONGEST].translate(_ESCAPES)}"' for name, value in labels if value]
    return "{" + ",".join(parts) + "}" if parts else ""


@functools.lru_cache(maxsize=4096)
def with_label(labels: str, name: str, value: str) -> str:
    """The labels with one more."""
    more = f'{name}="{value[:LONGEST].translate(_ESCAPES)}"'
    return f"{labels[:-1]},{more}}}" if labels else f"{{{more}}}"


def text(metrics: Iterable[Metric]) -> bytes:
    """Families without a series are left out."""
    lines: list[str] = []
    for (name, kind, what), series in metrics:
        # "+" makes the number 1 of True
        rows = [
            f"{name}{labels} {+value}"
            for labels, value in series
            if value is not None and not isinstance(value, Missing)
        ]
        if rows:
            lines.append(f"# HELP {name} {what}\n# TYPE {name} {kind}")
            lines += rows
    return ("\n".join(lines) + "\n").encode(errors="replace") if lines else b""
