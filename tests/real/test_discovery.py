"""On the real driver packages of three branches and the H200's listing, in every layout: nothing missing, nothing foreign."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpudock.facts.driver import DriverFiles
from gpudock.gpu import layout as driver_layout
from gpudock.gpu.layout import Content
from gpudock.host import driver_files
from gpudock.host.root import Root
from gpudock.plan.capabilities import ALL
from real.harness import layouts
from real.harness.expected import Expected, expected_of
from real.harness.layout import Layout

pytestmark = [pytest.mark.real, pytest.mark.debian]

CASES = [
    ("debian", None), ("debian", "550"), ("tesla-470", None), ("ubuntu", "535"), ("ubuntu", None), ("rhel", None),
    ("runfile", None), ("gke", None), ("nixos", None), ("opt", None), ("split", None), ("h200", None),
]  # fmt: skip
SETS = [
    ALL,
    ("utility",),
    ("compute", "utility"),
    ("compute", "utility", "video"),
    ("graphics",),
    ("compute", "compat32"),
    ("ngx",),
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(filter(None, case)))
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Layout]:
    """Only looked at."""
    name, branch = request.param
    folder = tmp_path_factory.mktemp(name)
    yield layouts.build(name, folder / "host", branch)
    shutil.rmtree(folder)


def read(built: Layout) -> DriverFiles:
    found = driver_files.read(
        Root(str(built.root)),
        loaded=built.version,
        architecture="x86_64",
        run=Root(str(built.root.parent / "no-services")),
    )
    assert isinstance(found, DriverFiles), found
    return found


def in_tree(content: Content, folder: str) -> set[str]:
    return {file.path.removeprefix(folder) for file in content.files if file.path.startswith(folder)}


def differences(content: Content, wanted: Expected, built: Layout) -> list[str]:
    """What is missing or should not be there, one line each."""
    libraries = {
        Path(name).name for name in in_tree(content, "lib64/") if not name.startswith(("xorg/", "nvidia/", "nvoptix"))
    }
    pairs = [
        ("library", libraries, set(wanted.libraries)),
        ("32-bit library", {Path(name).name for name in in_tree(content, "lib/")}, set(wanted.libraries32) if built.compat32 else set()),
        ("program", in_tree(content, "bin/"), set(wanted.binaries)),
        ("Xorg module", in_tree(content, "lib64/xorg/"), set(wanted.xorg)),
        ("data", in_tree(content, "lib64/nvidia/"), {name.removeprefix("nvidia/") for name in wanted.data if name.startswith("nvidia/")}),
        ("firmware", in_tree(content, "firmware/"), {Path(name).name for name in wanted.firmware}),
        ("configuration", {link["path"] for link in content.places if link["target"].startswith("/usr/local/nvidia/share")}, set(wanted.config)),
    ]  # fmt: skip
    found = []
    for kind, have, want in pairs:
        found += [f"{kind} missing: {name}" for name in sorted(want - have)]
        found += [f"{kind} too much: {name}" for name in sorted(have - want) if not wanted.may_have(name)]
    return found


@pytest.mark.parametrize("capabilities", SETS, ids=".".join)
def test_each_capability_set_brings_exactly_its_files(built: Layout, capabilities: tuple[str, ...]) -> None:
    content = driver_layout.content(read(built), capabilities)
    assert differences(content, expected_of(built).selected(*capabilities), built) == []


def test_one_version_only(built: Layout) -> None:
    found = read(built)
    assert found.version == built.version
    assert {file.version for file in found.files} <= {None, built.version}


def test_stale_files_are_reported_and_left_out(tmp_path: Path) -> None:
    found = read(layouts.build("runfile", tmp_path / "host"))
    assert "535.261.03" in {file.version for file in found.stale}
    assert not [file for file in found.files if file.name.endswith("535.261.03")]


def test_every_link_that_programs_open_is_there(built: Layout) -> None:
    content = driver_layout.content(read(built), ALL)
    names = {Path(path).name for path, _ in content.links} | {Path(file.path).name for file in content.files}
    assert set(map(os.path.basename, expected_of(built).links)) - names - {"libglxserver_nvidia.so"} == set()


def test_every_cache_entry_leads_to_a_file_of_the_tree(built: Layout) -> None:
    content = driver_layout.content(read(built), ALL)
    there = {f"/usr/local/nvidia/{path}" for path, _ in content.links} | {
        f"/usr/local/nvidia/{file.path}" for file in content.files
    }
    assert [entry["path"] for entry in content.libraries if entry["path"] not in there] == []
    assert "libcuda.so.1" in {entry["soname"] for entry in content.libraries}


def test_wsl_takes_the_loaders_and_leaves_the_store_to_its_mount(tmp_path: Path) -> None:
    built = layouts.build("wsl", tmp_path / "host")
    found = driver_files.read(Root(str(built.root)), loaded=None, architecture="x86_64", run=Root(str(tmp_path)))
    assert isinstance(found, DriverFiles)
    assert found.store is not None
    assert os.path.exists(f"{found.store}/libcuda.so.1.1")
    names = {file.name for file in found.files if file.role == "library"}
    assert {"libdxcore.so", "libcuda.so.1", "libnvidia-ml.so.1"} <= names
