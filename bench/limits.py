"""Whether what was measured keeps within what gpudock promises; with --check the command fails where it does not."""

from collections.abc import Mapping
from typing import Any

Judged = dict[str, dict[str, Any]]


def judged(measured: Mapping[str, float], most: Mapping[str, float]) -> Judged:
    return {
        name: {"most": limit, "is": measured[name], "holds": measured[name] <= limit} for name, limit in most.items()
    }


def code(limits: Judged, *, check: bool) -> int:
    """Says which hold. The exit status."""
    for name, each in limits.items():
        print(f"{'holds' if each['holds'] else 'BROKEN'}: {name}: {each['is']}, at most {each['most']}")
    return int(check and not all(each["holds"] for each in limits.values()))
