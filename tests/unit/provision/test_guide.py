"""docs/troubleshooting.md has one source: the checks, and the text around them."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_page_is_what_the_checks_say() -> None:
    spec = importlib.util.spec_from_file_location("troubleshooting", ROOT / "tools/troubleshooting.py")
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    page = (ROOT / "docs/troubleshooting.md").read_text()
    assert page == made.page(), "run: .venv/bin/python tools/troubleshooting.py"
    for message in (
        "Failed to initialize NVML: Unknown Error",
        "unresolvable CDI devices",
        "could not select device driver",
    ):
        assert message in page
