"""The driver tree where it takes root: bind mounts, reflinks, a full disk, trees in use, and kills in the middle."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gpudock.errors import HostError
from gpudock.facts.driver import DriverFiles
from gpudock.gpu import layout
from gpudock.plan.capabilities import ALL
from gpudock.refresh import install, place, tree
from gpudock.refresh import paths as where
from gpudock.refresh.collect import collect
from gpudock.refresh.paths import Paths
from real.harness.alone import alone
from real.harness.archive import installed
from real.harness.commands import run
from unit.machines import LIB, VERSION, DriverRoot, whole

pytestmark = pytest.mark.real

CUDA = f"lib64/libcuda.so.{VERSION}"
NOBODY = 65534


@pytest.fixture
def root(tmp_path: Path) -> DriverRoot:
    return whole(tmp_path / "host")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(*(f"{tmp_path}/{name}" for name in ("state", "run", "cdi", "libexec")))


def contents(driver: DriverFiles) -> dict[str, layout.Content]:
    return {"all": layout.content(driver, ALL), "utility": layout.content(driver, ("utility",))}


def build(root: DriverRoot, paths: Paths, *ways: place.Way) -> Path:
    driver = root.files()
    generation = f"{paths.trees}/{layout.generation(driver)}"
    tree.build(generation, contents(driver), ways)
    return Path(generation)


def mount(kind: str, options: str, source: str, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    run([str(installed("mount")), "-t", kind, "-o", options, source, str(target)])


class TestBind:
    def test_files_are_the_hosts_and_cannot_be_written(self, root: DriverRoot, paths: Paths) -> None:
        def work() -> None:
            generation = build(root, paths, "bind")
            source = f"{root.folder}{LIB}/libcuda.so.{VERSION}"
            for label, content in contents(root.files()).items():
                for file in content.files:
                    target = generation / label / file.path
                    if file.path.endswith("10_nvidia.json"):
                        continue  # rewritten
                    assert target.samefile(file.source.host)
                    with pytest.raises(OSError, match="Read-only"):
                        os.open(target, os.O_WRONLY)
            Path(source).open("r+b").close()  # the host's own stays writable

        alone(work)

    def test_what_a_reboot_takes_away_is_mounted_again(self, root: DriverRoot, paths: Paths) -> None:
        def work() -> None:
            generation = build(root, paths, "bind")
            for point in place.mounted_below(paths.trees):
                place.unbind(point)
            assert (generation / "all" / CUDA).stat().st_size == 0
            assert build(root, paths, "bind") == generation
            before = len(place.mounted_below(paths.trees))
            assert (generation / "all" / CUDA).samefile(f"{root.folder}{LIB}/libcuda.so.{VERSION}")
            build(root, paths, "bind")
            assert len(place.mounted_below(paths.trees)) == before  # not a second time

        alone(work)

    def test_an_old_generation_goes_with_its_mounts_and_never_with_its_sources(
        self, root: DriverRoot, paths: Paths
    ) -> None:
        def work() -> None:
            old = build(root, paths, "bind")
            os.utime(f"{root.folder}{LIB}/libcuda.so.{VERSION}")
            new = build(root, paths, "bind")
            assert collect(paths, generation=new.name, plans=()) == [str(old)]
            assert os.listdir(paths.trees) == [new.name]
            assert all(point.startswith(f"{new}/") for point in place.mounted_below(paths.trees))
            tree.remove(str(new))
            assert place.mounted_below(paths.trees) == []

        alone(work)
        assert len(root.files().files) > 20

    def test_a_build_that_fails_or_is_killed_leaves_no_mount(self, root: DriverRoot, paths: Paths) -> None:
        def failing() -> None:
            driver = root.files()
            smi = f"{root.folder}/usr/bin/nvidia-smi"
            os.rename(smi, smi + ".away")
            with pytest.raises(HostError, match="nvidia-smi"):
                tree.build(f"{paths.trees}/generation", contents(driver), ("bind",))
            os.rename(smi + ".away", smi)
            assert place.mounted_below(paths.trees) == []
            assert os.listdir(f"{paths.trees}/generation") == []

        def killed() -> None:
            source = f"{root.folder}{LIB}/libcuda.so.{VERSION}"
            staging = Path(paths.trees, "generation/.all.0123abcd.tmp/lib64")
            staging.mkdir(parents=True)
            assert place.place(source, f"{staging}/libcuda.so.1", ("bind",)) == "bind"
            collect(paths, generation="generation", plans=())
            assert os.listdir(f"{paths.trees}/generation") == []
            assert Path(source).stat().st_size > 0

        alone(failing)
        alone(killed)


def test_a_tree_that_is_mounted_in_another_namespace_stays(root: DriverRoot, paths: Paths, tmp_path: Path) -> None:
    """As a running container has it: nothing of it is seen in this process's own table of mounts."""
    old = build(root, paths, "link")
    started, stop = os.pipe(), os.pipe()
    container = os.fork()
    if container == 0:

        def work() -> None:
            (tmp_path / "rootfs").mkdir()
            run([str(installed("mount")), "--bind", str(old / "utility"), str(tmp_path / "rootfs")])
            os.write(started[1], b"x")
            os.read(stop[0], 1)

        os.close(stop[1])
        alone(work)
        os._exit(0)
    os.close(stop[0])
    try:
        assert os.read(started[0], 1) == b"x"
        os.utime(f"{root.folder}{LIB}/libcuda.so.{VERSION}")
        new = build(root, paths, "link")
        assert collect(paths, generation=new.name, plans=()) == []
        assert (old / "all" / CUDA).exists()
    finally:
        os.close(stop[1])
        os.waitpid(container, 0)
        os.close(started[0])
        os.close(started[1])
    assert collect(paths, generation=new.name, plans=()) == [str(old)]


def test_start_files_go_to_the_state_folder_where_usr_is_read_only(tmp_path: Path) -> None:
    def work() -> None:
        mount("tmpfs", "ro", "tmpfs", tmp_path / "usr")
        environment = {
            "GPUDOCK_LIBEXEC_DIR": f"{tmp_path}/usr/libexec/gpudock",
            "GPUDOCK_STATE_DIR": f"{tmp_path}/state",
        }
        found = where.paths(environment, uid=0)
        assert found.libexec == f"{tmp_path}/state/libexec"
        hook = install.installed(found.libexec)
        assert hook[-1] == f"{tmp_path}/state/libexec/current/hook.py"
        assert Path(hook[-1]).is_file()
        assert install.planned(found.libexec) == hook
        mount("tmpfs", "rw", "tmpfs", tmp_path / "usr")
        assert where.paths(environment, uid=0).libexec == f"{tmp_path}/usr/libexec/gpudock"

    alone(work)


def test_a_reflink_shares_the_data_and_not_the_file(tmp_path: Path) -> None:
    def work() -> None:
        image = tmp_path / "xfs.img"
        with image.open("wb") as file:
            file.truncate(320 << 20)
        run([str(installed("mkfs.xfs")), "-q", str(image)])
        mount("xfs", "loop", str(image), tmp_path / "xfs")
        root = whole(tmp_path / "xfs/host")
        generation = build(root, Paths(f"{tmp_path}/xfs/state", "", "", ""), "reflink")
        library = generation / "all" / CUDA
        source = Path(f"{root.folder}{LIB}/libcuda.so.{VERSION}")
        assert not library.samefile(source)
        assert library.read_bytes() == source.read_bytes()
        assert library.stat().st_mtime_ns == source.stat().st_mtime_ns
        source.write_bytes(b"another driver")
        assert library.read_bytes() != source.read_bytes()

    alone(work)


@pytest.mark.parametrize("size", ["16k", "64k", "200k"])
def test_a_full_disk_is_said_and_leaves_nothing(root: DriverRoot, tmp_path: Path, size: str) -> None:
    def work() -> None:
        mount("tmpfs", f"size={size}", "none", tmp_path / "full")
        with open(f"{root.folder}{LIB}/libcuda.so.{VERSION}", "r+b") as library:  # no hole is copied
            library.write(library.read().ljust(300_000, b"\1"))
        driver = root.files()
        before = os.statvfs(tmp_path / "full").f_bfree
        with pytest.raises(HostError) as caught:
            tree.build(f"{tmp_path}/full/generation", contents(driver), ("link", "copy"))
        assert caught.value.why.endswith(os.strerror(errno.ENOSPC))
        assert "space" in caught.value.mend
        assert os.listdir(tmp_path / "full/generation") == []
        assert before - os.statvfs(tmp_path / "full").f_bfree <= 2  # the generation's own folder

    alone(work)


@pytest.mark.parametrize(
    "forbid",
    [
        lambda root: os.chmod(f"{root.folder}/usr/bin/nvidia-smi", 0o600),
        lambda root: os.chmod(f"{root.folder}/usr/bin", 0o700),
    ],
    ids=["file", "folder"],
)
def test_a_driver_that_may_not_be_read_is_said_and_leaves_nothing(
    root: DriverRoot, tmp_path: Path, forbid: Callable[[DriverRoot], None]
) -> None:
    """A rootless engine's user builds an own tree."""
    driver = root.files()
    forbid(root)
    own = tmp_path / "own"
    own.mkdir()
    os.chown(own, NOBODY, NOBODY)
    folder = tmp_path
    while folder != Path("/tmp"):
        folder.chmod(0o755)
        folder = folder.parent

    def work() -> None:
        with pytest.raises(HostError, match="/usr/bin/nvidia-") as caught:
            tree.build(f"{own}/generation", contents(driver))
        assert caught.value.why == "Permission denied"
        assert os.listdir(own / "generation") == []

    alone(work, user=NOBODY)
