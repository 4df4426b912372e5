"""The results as tables, and into the documentation."""

from pathlib import Path
from typing import Any

from bench.starts import lifecycle

Results = dict[str, Any]
PAGE = Path(__file__).resolve().parent.parent.parent / "docs/performance.md"
_NETWORKS = {"none": "Docker, `--network none`", "default": "Docker, its own network"}
_SHORT = (lifecycle.BARE, lifecycle.NOTHING, lifecycle.OURS, lifecycle.CDI)


def text(results: Results) -> str:
    parts = [f"{results['machine']}; {results['gpus']}; {results['rounds']} rounds."]
    makers = {"lifecycle": _lifecycle, "merge": _merge, "docker": _docker, "storm": _storm}
    parts += [make(results[name]) for name, make in makers.items() if name in results]
    if "yardstick" in results:
        words = (f"`{name}` {row['ms']} ms" for name, row in results["yardstick"].items())
        parts.insert(1, f"For comparison: {', '.join(words)}.")
    return "\n\n".join(parts) + "\n"


def put(table: str, mark: str) -> bool:
    """Into the page, where it has a place for these results."""
    begin, end = f"<!-- {mark} -->\n", "<!-- end -->\n"
    head, found, rest = PAGE.read_text().partition(begin)
    if found:
        PAGE.write_text(head + begin + table + end + rest.partition(end)[2])
    return bool(found)


def _lifecycle(found: Results) -> str:
    """Of the shorter operations, the cases that differ."""
    tables = []
    for runtime, by_place in found.items():
        rows = []
        for operation in next(iter(by_place.values())):
            for case in next(iter(by_place.values()))[operation]:
                if operation == "create" or case in _SHORT:
                    cells = [_cell(one[operation][case]) for one in by_place.values()]
                    rows.append([f"`{operation}`", case, *cells])
        tables.append(_table([runtime, "", *by_place], rows))
    return "\n\n".join(tables)


def _merge(found: Results) -> str:
    rows = [
        [size, case, *(_cell(one[size][case]) for one in found.values())]
        for size, figures in next(iter(found.values())).items()
        for case in figures
    ]
    return _table(["linker cache", "", *found], rows)


def _docker(found: Results) -> str:
    tables = []
    for network, by_place in found.items():
        figures = list(by_place.values())
        rows = [[f"`{case}`", *(_cell(one[case]) for one in figures)] for case in figures[0]]
        tables.append(_table([_NETWORKS[network], *by_place], rows))
    return "\n\n".join(tables)


def _storm(found: Results) -> str:
    rows = []
    for place, by_case in found.items():
        for case, row in by_case.items():
            left = sum(row["left behind"].values())
            counts = (row["starts"], row["failures"], left, row["p50"], row["p99"])
            rows.append([place, case, *map(str, counts)])
    at_once = next(iter(next(iter(found.values())).values()))["at once"]
    return _table([f"{at_once} at once", "", "starts", "failures", "left behind", "median ms", "p99 ms"], rows)


def _cell(row: dict[str, float]) -> str:
    if row["more"] == 0 and row["ratio"] == 1:
        return f"{row['ms']:.1f} ({row['p10']:.1f} to {row['p90']:.1f})"
    return f"{row['ms']:.1f} ({row['p10']:.1f} to {row['p90']:.1f}), {row['more']:+.1f}, {row['ratio']:.2f}x"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
