"""Sizes and times as people read them. Pure."""

from collections.abc import Mapping

_UNITS = ("B", "K", "M", "G", "T", "P")


def size(number: float) -> str:
    """Of 1024: 512M, 1.5G."""
    at = 0
    while number >= 1024 and at < len(_UNITS) - 1:
        number /= 1024
        at += 1
    return f"{number:.1f}".removesuffix(".0") + _UNITS[at]


def memory(used: float | None, limit: float | str | None) -> str:
    """used / limit"""
    of = size(float(limit)) if limit else "no limit"
    return f"{size(used)} / {of}" if used is not None else of


def cpus(limits: Mapping[str, float | str | None]) -> str:
    number, which = limits.get("cpus"), limits.get("cpuset")
    parts = [f"{number:g}" if isinstance(number, int | float) else "", f"({which})" if which else ""]
    return " ".join(part for part in parts if part) or "all"


def age(seconds: int | None) -> str:
    if seconds is None:
        return "-"
    for size_, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size_:
            return f"{seconds // size_} {unit}"
    return f"{seconds} s"
