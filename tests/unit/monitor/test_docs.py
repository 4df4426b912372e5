"""docs/metrics.md lists what is exported."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_tables_are_those_of_the_program() -> None:
    spec = importlib.util.spec_from_file_location("metrics_docs", ROOT / "tools/metrics_docs.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    text = (ROOT / "docs/metrics.md").read_text()
    assert text == tool.page(text), "run tools/metrics_docs.py"
    assert text.count("| `gpudock_") > 40
