"""What is refused before an engine is asked, and what a lock says of other machines."""

import json
import os
from pathlib import Path

import msgspec
import pytest

from gpudock.env import project as projects
from gpudock.env.choose import tables
from gpudock.env.choose.machine import Machine, of_snapshot
from gpudock.env.image import lock, locking
from gpudock.env.owner import Owner
from gpudock.env.project import Project
from gpudock.errors import RefusedError
from gpudock.host import codec
from gpudock.plan.requirement import Properties
from gpudock.proc import Result
from unit.env.locks import HASH, LOCK
from unit.env.sessions import session

TABLES = tables.load(())
H200 = Machine("580.159.04", (("NVIDIA H200", "9.0"),))
INSPECTED = json.dumps(
    [
        {
            "Id": f"sha256:{HASH}",
            "RepoDigests": [f"docker.io/library/python@sha256:{HASH}"],
            "Config": {"Env": ["PATH=/bin", "CUDA_VERSION=12.4.1", "NVIDIA_REQUIRE_CUDA=driver>=550"]},
        }
    ]
)


def project(folder: Path, text: str) -> Project:
    (folder / "gpudock.yaml").write_text(text)
    return projects.load(str(folder), 1000)


def never(argv: tuple[str, ...]) -> int:
    raise AssertionError(argv)


@pytest.mark.parametrize(
    ("text", "machine", "word"),
    [
        ('framework: {pytorch: "2.13"}', H200._replace(driver="470.82.01"), "525.60.13"),
        ('cuda: "13.0"', Machine("580.65.06", (("V100", "7.0"),)), "7.5"),
        ("base: nvidia/cuda:13.0.1-devel-ubuntu24.04", H200._replace(driver="550.54.14"), "580"),
    ],
)
def test_nothing_is_pulled_for_what_cannot_run(tmp_path: Path, text: str, machine: Machine, word: str) -> None:
    asked = session({})
    with pytest.raises(RefusedError, match=word):
        locking.make(asked, project(tmp_path, text), locking.Wish(machine=machine, tables=TABLES), never)
    assert asked.run.asked == []  # type: ignore[attr-defined]


def test_a_lock_of_a_base_alone(tmp_path: Path) -> None:
    said = "=== system\nID=debian\nVERSION_ID=12\n=== machine\nx86_64\n"
    asked = session({("podman", "image"): INSPECTED, ("podman", "run"): said})
    wish = locking.Wish(base="docker.io/library/python:3.12", machine=H200, tables=TABLES)
    made = locking.make(asked, project(tmp_path, "name: x\n"), wish, never)
    assert made.base is not None
    assert made.base.digest == f"sha256:{HASH}"
    assert (made.cuda, made.driver) == ("12.4", "525.60.13")  # as the image says
    assert made.distribution == "debian 12"
    locking.save(str(tmp_path), made, Owner(os.getuid(), os.getgid(), "ada"))
    assert locking.read(str(tmp_path)) == made


@pytest.mark.parametrize("required", ["driver>=550", "cuda>=12.4 brand=tesla,driver>=470,driver<471"])
def test_what_the_base_itself_requires(tmp_path: Path, required: str) -> None:
    asked = session({("podman", "image"): INSPECTED.replace("driver>=550", required)})
    told = Properties("12.2", "535.54.03", [("8.9", "geforce")])
    wish = locking.Wish(base="own", machine=Machine("535.54.03", (), "x86_64", told), tables=TABLES)
    with pytest.raises(RefusedError, match="is not met"):
        locking.make(asked, project(tmp_path, "name: x\n"), wish, never)
    wanted = project(tmp_path, "env: {NVIDIA_DISABLE_REQUIRE: 1}\n")  # as containers do without the check
    said = "=== system\n=== machine\nx86_64\n"
    asked = session({("podman", "image"): INSPECTED.replace("driver>=550", required), ("podman", "run"): said})
    assert locking.make(asked, wanted, wish, never).cuda == "12.4"


def test_a_base_of_another_architecture(tmp_path: Path) -> None:
    said = "=== system\n=== machine\nx86_64\n"
    asked = session({("podman", "image"): INSPECTED, ("podman", "run"): said})
    wish = locking.Wish(base="own", machine=Machine("580.65.06", (), "aarch64"), tables=TABLES)
    with pytest.raises(RefusedError, match="for x86_64, and the machine is aarch64"):
        locking.make(asked, project(tmp_path, "name: x\n"), wish, never)


def test_what_packages_bring_is_looked_at_too(tmp_path: Path) -> None:
    """A requirements.txt names torch, and pip chooses one with CUDA 13."""
    told = {
        "install": [
            {
                "metadata": {"name": "nvidia-cuda-runtime", "version": "13.0.96"},
                "download_info": {"url": "u", "archive_info": {"hash": f"sha256={HASH}"}},
            }
        ]
    }
    said = f"=== system\n=== machine\nx86_64\n=== python\n3.12.1\n=== pip\n{json.dumps(told)}"
    base = INSPECTED.replace("CUDA_VERSION", "X").replace("NVIDIA_REQUIRE_CUDA", "Y")
    asked = session({("podman", "image"): base, ("podman", "run"): said})
    (tmp_path / "requirements.txt").write_text("torch\n")
    wanted = project(tmp_path, "python_requirements: requirements.txt\n")
    with pytest.raises(RefusedError, match=r"CUDA 13\.0.*580"):
        locking.make(asked, wanted, locking.Wish(machine=H200._replace(driver="550.54.14"), tables=TABLES), never)
    made = locking.make(asked, wanted, locking.Wish(machine=H200, tables=TABLES), never)
    assert (made.cuda, made.driver) == ("13.0", "580")
    assert not locking.stale(wanted, made)
    (tmp_path / "requirements.txt").write_text("torch==2.0\n")
    assert locking.stale(wanted, made)


def test_another_python_than_the_bases(tmp_path: Path) -> None:
    said = "=== system\n=== machine\nx86_64\n=== python\n3.11.2\n=== pip\n" + json.dumps({"install": []})
    asked = session({("podman", "image"): INSPECTED, ("podman", "run"): said})
    wanted = project(tmp_path, 'python_version: "3.12"\nbase: debian:12\n')
    with pytest.raises(RefusedError, match=r"Python 3\.11\.2, not 3\.12"):
        locking.make(asked, wanted, locking.Wish(machine=H200, tables=TABLES), never)


def test_a_base_that_cannot_be_pulled(tmp_path: Path) -> None:
    asked = session({("podman", "image"): Result(125, "", "Error: no such image")})
    with pytest.raises(Exception, match="cannot be pulled"):
        locking.make(asked, project(tmp_path, "base: nowhere\n"), locking.Wish(tables=TABLES), lambda _: 125)


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (H200, ()),
        (H200._replace(driver="525.60.13"), ()),
        (H200._replace(driver="470.82.01"), ("driver 525.60.13 or newer", "470.82.01")),
        (H200._replace(driver=""), ("none is loaded",)),
        (H200._replace(machine="aarch64"), ("aarch64",)),
        (Machine("580.65.06", (("V100", "7.0"),)), ("no code for V100",)),
        (Machine("580.65.06", (("H200", "9.0"), ("V100", "7.0"))), ("no code for V100",)),
        (Machine("580.65.06", (("RTX 5090", "12.0"),)), ()),
        (Machine("580.65.06", (("later", "15.0"),)), ()),  # by PTX
    ],
)
def test_whether_another_machine_runs_it(machine: Machine, words: tuple[str, ...]) -> None:
    reasons = locking.unfit(msgspec.structs.replace(LOCK, architectures=("8.0", "9.0", "12.0+PTX")), machine, TABLES)
    assert bool(reasons) == bool(words)
    for word in words:
        assert word in "; ".join(reasons)


def test_without_cuda_any_machine_will_do() -> None:
    plain = msgspec.structs.replace(LOCK, cuda="", driver="", architectures=())
    assert locking.unfit(plain, Machine("", ()), TABLES) == ()


def test_the_machine_of_a_snapshot() -> None:
    data = (Path(__file__).parents[3] / "data/h200/snapshot.json").read_bytes()
    found = of_snapshot(codec.decode(data))
    assert found.driver == "580.159.04"
    assert found.gpus[0][1] == "9.0"
    assert found.machine == "x86_64"
    assert found.properties.cuda == "13.0"


def test_a_lock_that_was_tampered_with_has_another_name() -> None:
    other = msgspec.structs.replace(LOCK, cuda="12.4")
    assert lock.digest(other) != lock.digest(LOCK)
