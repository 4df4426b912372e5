"""GPUs of environments: the same decisions as gpudock run, on simulated GPUs."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from real.env_stage import BASE, Stage
from real.harness.product import Product, product

pytestmark = pytest.mark.real

RECIPE = f"base: {BASE}\ngpus: 1\n"


@pytest.fixture(scope="module")
def gpus(session_root: Path) -> Iterator[Product]:
    session_root.chmod(0o755)
    with product(session_root) as made:
        made.simulate("--gpus", "3")
        made.refresh()
        yield made


@pytest.fixture(scope="module")
def stage(env_docker: Stage, gpus: Product) -> Stage:
    """On docker: how podman gets what was decided is gpudock run's, and tested there."""
    return replace(env_docker, variables={**env_docker.variables, **gpus.env})


def nodes(listing: str) -> set[str]:
    return set(re.findall(r"\bnvidia\d+\b", listing))


def test_the_gpus_that_were_asked_for(stage: Stage) -> None:
    folder = stage.project("chosen", RECIPE)
    done = stage("up", "--gpus", "device=0,2", at=folder)
    assert "SIMULATED" in done.stderr
    listed = stage("env", "exec", "sh", "-c", "ls /dev; nvidia-smi -L", at=folder).stdout
    assert nodes(listed) == {"nvidia0", "nvidia2"}
    assert listed.count("GPU-") == 2
    (row,) = [each for each in json.loads(stage("env", "ls", "--json").stdout) if each["name"] == "chosen"]
    assert row["gpus"] == "0,2"
    stage("env", "stop", at=folder)
    stage("env", "start", at=folder)
    assert nodes(stage("env", "exec", "ls", "/dev", at=folder).stdout) == {"nvidia0", "nvidia2"}
    second = stage.project("free", RECIPE)
    stage("up", at=second)
    assert nodes(stage("env", "exec", "ls", "/dev", at=second).stdout) == {"nvidia1"}  # the one that nobody has
    assert nodes(stage("env", "run", "--gpus", "none", "ls", "/dev", at=second).stdout) == set()
    refused = stage("env", "run", "--gpus", "device=7", "true", at=second, check=False)
    assert refused.returncode == 5
    stage("down", at=folder)
    stage("down", at=second)
