"""Fails when the source outgrows its budgets: modules <= 350 lines (median <= 100), functions <= 60, no junk drawers.

A module may exceed a limit only with a line `# size: REASON` among its first ten lines.
"""

import ast
import statistics
import sys
from pathlib import Path

MODULE_LINES = 350
MEDIAN_LINES = 100
FUNCTION_LINES = 60
BANNED_NAMES = {"utils", "util", "common", "helpers", "helper", "manager", "misc"}


def problems(source: Path) -> list[str]:
    found: list[str] = []
    lengths: list[int] = []
    for path in sorted(source.rglob("*.py")):
        text = path.read_text()
        lines = text.splitlines()
        if path.name != "__init__.py":
            lengths.append(len(lines))
        if path.stem in BANNED_NAMES:
            found.append(f"{path}: name says nothing; call it after what it holds")
        excused = any(line.startswith("# size: ") for line in lines[:10])
        if len(lines) > MODULE_LINES and not excused:
            found.append(f"{path}: {len(lines)} lines, budget {MODULE_LINES}")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES and not excused:
                    found.append(f"{path}:{node.lineno}: {node.name} has {length} lines, budget {FUNCTION_LINES}")
    median = statistics.median(lengths) if lengths else 0
    if median > MEDIAN_LINES:
        found.append(f"{source}: median module has {median:.0f} lines, budget {MEDIAN_LINES}")
    return found


if __name__ == "__main__":
    found = problems(Path(__file__).parent.parent / "src")
    for line in found:
        print(line)
    sys.exit(1 if found else 0)
