"""The hook under runc and crun, as engines start it for CDI devices: every kind of image finds the driver."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpudock.plan import ldcache
from real import hook_stage
from real.harness import images
from real.harness.commands import run
from real.hook_stage import LIBRARY, LINKS, MOUNT_POINT, Stage

pytestmark = pytest.mark.real
GLIBC = ("tiny", "lib64")


@pytest.fixture(params=["runc", "crun"])
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def stage(session_root: Path) -> Stage:
    return hook_stage.build(session_root / "hook")


@pytest.fixture
def bundle(tmp_path: Path) -> Callable[[str], Path]:
    def make(kind: str) -> Path:
        images.unpack(kind, tmp_path / "rootfs")
        return tmp_path

    return make


def owners(root: Path) -> set[tuple[int, int]]:
    return {(path.lstat().st_uid, path.lstat().st_gid) for path in (root, *root.rglob("*"))}


@pytest.mark.parametrize("kind", [*GLIBC, "musl"])
def test_the_loader_finds_the_driver(stage: Stage, bundle: Callable[[str], Path], runtime: str, kind: str) -> None:
    folder = bundle(kind)
    for _ in range(2):  # started, and started again
        done = stage.start(runtime, folder, ["/probe", LIBRARY])
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith(f"{LIBRARY} ok {MOUNT_POINT}/lib64/{LIBRARY}")
    root = folder / "rootfs"
    for path, target in LINKS.items():
        assert os.readlink(root / path[1:]) == f"{MOUNT_POINT}/{target}"
    assert owners(root) == {(0, 0)}
    assert not list(root.rglob(".gpudock*"))
    cached = [name for _, name, _ in ldcache.entries((root / "etc/ld.so.cache").read_bytes())] if kind in GLIBC else []
    assert cached.count(LIBRARY) == (kind in GLIBC)


def test_without_a_linker_cache(stage: Stage, bundle: Callable[[str], Path], runtime: str) -> None:
    folder = bundle("tiny")
    (folder / "rootfs/etc/ld.so.cache").unlink()
    (folder / "rootfs/etc/ld.so.conf").unlink()
    shutil.rmtree(folder / "rootfs/etc/ld.so.conf.d")
    done = stage.start(runtime, folder, ["/probe", LIBRARY])
    assert (done.code, done.out.split()[1:2]) == (0, ["ok"]), done.err
    later = stage.start(runtime, folder, ["/bin/sh", "-c", f"/sbin/ldconfig && /probe {LIBRARY}"])
    assert (later.code, later.out.split()[1:2]) == (0, ["ok"]), later.err


def test_ldconfig_in_the_container_keeps_the_driver(stage: Stage, bundle: Callable[[str], Path], runtime: str) -> None:
    done = stage.start(runtime, bundle("tiny"), ["/bin/sh", "-c", f"/sbin/ldconfig && /probe {LIBRARY}"])
    assert (done.code, done.out.split()[1:2]) == (0, ["ok"]), done.err


def test_a_static_image_gets_its_links_and_nothing_else(
    stage: Stage, bundle: Callable[[str], Path], runtime: str
) -> None:
    folder = bundle("busybox")
    before = {str(path) for path in folder.rglob("*") if not path.is_dir()}
    done = stage.start(runtime, folder, ["/bin/sh", "/usr/bin/nvidia-smi"])
    assert (done.code, done.out) == (0, "simulated\n"), done.err
    made = {str(path) for path in folder.rglob("*") if not path.is_dir() and path.parent.name != "dev"} - before
    assert made == {str(folder / "rootfs" / path[1:]) for path in LINKS} | {str(folder / "config.json")}


def test_read_only_without_a_linker_cache(stage: Stage, bundle: Callable[[str], Path], runtime: str) -> None:
    done = stage.start(runtime, bundle("busybox"), root={"path": "rootfs", "readonly": True})
    assert done.code == 0
    assert ("the read-only root file system keeps out /usr/bin/nvidia-smi" in done.err) == (runtime == "crun")


def test_user_namespace(stage: Stage, bundle: Callable[[str], Path], runtime: str) -> None:
    """The hook runs as the container's root, for whom the machine's root is nobody, and makes files for it."""
    folder = bundle("tiny")
    (folder / "rootfs" / MOUNT_POINT[1:]).mkdir(parents=True)
    run(["chown", "-hR", "100000:100000", str(folder)])
    for above in (stage.folder.parent, *folder.parents[: len(folder.parents) - 2]):  # but / and /tmp
        above.chmod(above.stat().st_mode | 0o711)
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    kinds = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network", "user")]
    linux: dict[str, Any] = {"namespaces": kinds, "uidMappings": mapping, "gidMappings": mapping}
    done = stage.start(runtime, folder, ["/probe", LIBRARY], linux=linux)
    assert (done.code, done.out.split()[1:2]) == (0, ["ok"]), done.err
    assert owners(folder / "rootfs/etc") == {(100000, 100000)}


def test_a_plan_that_no_longer_fits(stage: Stage, bundle: Callable[[str], Path], runtime: str) -> None:
    folder = bundle("tiny")
    before = hook_stage.digest(folder / "rootfs/etc")
    changed = {"host": str(stage.tree / "lib64" / LIBRARY), "size": 1, "mtime_ns": 1}
    done = stage.start(runtime, folder, plan_file=stage.write_plan("stale", files=[changed]))
    assert done.code != 0
    assert f"{LIBRARY} has changed" in done.err
    assert "sudo gpudock refresh" in done.err
    assert hook_stage.digest(folder / "rootfs/etc") == before


def test_a_missing_plan(stage: Stage, bundle: Callable[[str], Path], runtime: str) -> None:
    done = stage.start(runtime, bundle("busybox"), plan_file=stage.folder / "plans/none.json")
    assert done.code != 0
    assert "none.json cannot be read" in done.err
    assert "sudo gpudock refresh" in done.err
