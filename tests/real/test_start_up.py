"""Command lines that people and scripts wait for import nothing that they do not need: each such module costs as much
as the whole of their own work.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from real.harness.commands import run
from real.harness.engines import Engine
from real.harness.product import Product, product

# Beside what is needed for --help and mistyped words alone (click), what lies behind rarely used branches.
HEAVY = {
    *(
        "click",
        "typing_extensions",
        "dataclasses",
        "inspect",
        "argparse",
        "yaml",
        "ruamel",
        "tomlkit",
        "tomllib",
        "importlib.metadata",
    ),
    *("tempfile", "pathlib", "urllib", "socket", "http", "asyncio", "concurrent", "logging", "traceback", "ctypes"),
    *("gpudock.refresh.collect", "gpudock.refresh.adopt", "gpudock.refresh.units", "gpudock.refresh.program"),
    *("gpudock.cli.by_click", "gpudock.cli.look", "gpudock.host.snapshot_check"),
}
CALL = """
import atexit, sys
report = sys.argv.pop(1)
atexit.register(lambda: open(report, "w").write(" ".join(sys.modules)))
from gpudock.cli.main import main
main()
"""


@pytest.fixture(scope="module")
def refreshed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with product(tmp_path_factory.mktemp("start-up")) as made:
        yield made


def imported(folder: Path, made: Product, *words: str, env: Mapping[str, str] = os.environ) -> set[str]:
    """What `gpudock WORDS` imports."""
    report = folder / "modules"
    run([sys.executable, "-c", CALL, str(report), *words], env={**env, **made.env})
    return set(report.read_text().split())


def test_the_version(refreshed: Product, tmp_path: Path) -> None:
    found = imported(tmp_path, refreshed, "--version")
    assert found & {*HEAVY, "msgspec", "json", "subprocess", "hashlib", "shutil"} == set()


def test_generate_and_refresh(refreshed: Product, tmp_path: Path) -> None:
    for words in (["cdi", "generate", "-o", str(tmp_path / "spec.yaml")], ["refresh", "--quiet"]):
        found = imported(tmp_path, refreshed, *words, "--simulated", str(refreshed.gpus))
        needed = {"gpudock.refresh.collect"} if words[0] == "refresh" else set()
        assert found & HEAVY <= needed, words
    assert (tmp_path / "spec.yaml").read_text().startswith("---\n")


def test_run(refreshed: Product, podman: Engine, tmp_path: Path) -> None:
    words = ("run", "--engine", "podman", "--dry-run", "--gpus", "all", "localhost/none")
    found = imported(tmp_path, refreshed, *words, env=podman.env)
    assert found & HEAVY == set()
    assert found & {"msgspec", "hashlib", "shutil"} == set()


def test_what_the_others_rely_on_is_seen(refreshed: Product, tmp_path: Path) -> None:
    assert {"click", "gpudock.cli.by_click"} <= imported(tmp_path, refreshed, "--help")
