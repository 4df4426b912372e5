"""The driver tree on disk. Mounts, full disks and kills: tests/real."""

import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpudock.errors import HostError
from gpudock.facts.driver import DriverFiles
from gpudock.gpu import layout
from gpudock.plan.capabilities import ALL
from gpudock.refresh import tree
from gpudock.refresh.place import Way
from unit.machines import LIB, VERSION, DriverRoot, whole

SETS = {"all": ALL, "compute.utility": ("compute", "utility"), "utility": ("utility",)}
CUDA = f"lib64/libcuda.so.{VERSION}"


@pytest.fixture
def root(tmp_path: Path) -> DriverRoot:
    return whole(tmp_path / "host")


def contents(driver: DriverFiles) -> dict[str, layout.Content]:
    return {label: layout.content(driver, names) for label, names in SETS.items()}


def build(root: DriverRoot, folder: Path, ways: tuple[Way, ...] = ("link", "copy")) -> Path:
    """The built generation's folder."""
    driver = root.files()
    generation = folder / layout.generation(driver)
    tree.build(str(generation), contents(driver), ways)
    return generation


def below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or path.is_file()}


@pytest.mark.parametrize("ways", [("link",), ("copy",), ("reflink", "copy")])
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000], ids=oct)
def test_a_tree_is_its_content_and_nothing_else(
    root: DriverRoot, tmp_path: Path, ways: tuple[Way, ...], umask: int
) -> None:
    before = os.umask(umask)
    try:
        generation = build(root, tmp_path / "trees", ways)
    finally:
        os.umask(before)
    assert sorted(os.listdir(generation)) == sorted(SETS)
    for label, content in contents(root.files()).items():
        variant = generation / label
        assert below(variant) == {file.path for file in content.files} | {path for path, _ in content.links}
        for file in content.files:
            assert (
                file.source.role == "config"
                or (variant / file.path).read_bytes() == Path(file.source.host).read_bytes()
            )
        for path, target in content.links:
            assert os.readlink(variant / path) == target
            assert (variant / path).resolve(strict=True).is_relative_to(variant)
        for folder in (generation, variant, *(path for path in variant.rglob("*") if path.is_dir())):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_the_library_folders_are_always_there(root: DriverRoot, tmp_path: Path) -> None:
    """The image's own ld.so.conf.d may name both; a folder without files is better than a dangling entry."""
    generation = build(root, tmp_path)
    assert {"lib", "lib64"} <= set(os.listdir(generation / "utility"))


def test_variants_share_the_copies(tmp_path: Path, other_file_system: Path) -> None:
    """One copy of a driver of 600 MB, however many capability sets are in use."""
    root = whole(other_file_system / "host")
    generation = build(root, tmp_path)
    inodes = {(generation / label / CUDA).stat().st_ino for label in ("all", "compute.utility")}
    assert len(inodes) == 1
    assert not (generation / "all" / CUDA).samefile(f"{root.folder}{LIB}/libcuda.so.{VERSION}")


@pytest.fixture
def other_file_system(tmp_path: Path) -> Iterator[Path]:
    folder = Path(f"/dev/shm/gpudock-test-{os.getpid()}")
    folder.mkdir()
    assert folder.stat().st_dev != tmp_path.stat().st_dev
    yield folder
    shutil.rmtree(folder)


def test_what_is_built_is_left_alone(root: DriverRoot, tmp_path: Path) -> None:
    generation = build(root, tmp_path, ("copy",))
    before = {path: (path.lstat().st_ino, path.lstat().st_ctime_ns) for path in generation.rglob("*")}
    assert build(root, tmp_path, ("link",)) == generation
    assert {path: (path.lstat().st_ino, path.lstat().st_ctime_ns) for path in generation.rglob("*")} == before


def test_a_new_variant_joins_the_generation(root: DriverRoot, tmp_path: Path) -> None:
    generation = build(root, tmp_path)
    tree.build(str(generation), {"ngx": layout.content(root.files(), ("ngx",))})
    assert f"lib64/libnvidia-ngx.so.{VERSION}" in below(generation / "ngx")
    assert set(os.listdir(generation)) == {*SETS, "ngx"}


class TestFailures:
    def failure(self, root: DriverRoot, tmp_path: Path, driver: DriverFiles, ways: tuple[Way, ...]) -> HostError:
        with pytest.raises(HostError) as caught:
            tree.build(str(tmp_path / "generation"), contents(driver), ways)
        assert caught.value.why
        assert os.listdir(tmp_path / "generation") == []  # no variant, no staging
        assert Path(f"{root.folder}{LIB}").is_dir()
        return caught.value

    @pytest.mark.parametrize("ways", [("link",), ("copy",)])
    def test_a_source_that_is_gone(self, root: DriverRoot, tmp_path: Path, ways: tuple[Way, ...]) -> None:
        driver = root.files()
        os.unlink(f"{root.folder}/usr/bin/nvidia-smi")
        assert "nvidia-smi" in self.failure(root, tmp_path, driver, ways).what

    @pytest.mark.parametrize("ways", [("link",), ("copy",)])
    @pytest.mark.parametrize("change", ["written", "replaced", "touched", "link"])
    def test_a_source_that_changes_meanwhile(
        self, root: DriverRoot, tmp_path: Path, ways: tuple[Way, ...], change: str
    ) -> None:
        driver = root.files()
        path = Path(f"{root.folder}/usr/bin/nvidia-smi")
        match change:
            case "written":
                path.write_text("another program")
            case "replaced":
                path.unlink()
                path.write_text("another program")
            case "touched":
                os.utime(path)
            case _:
                path.unlink()
                path.symlink_to("/bin/true")
        assert "nvidia-smi" in self.failure(root, tmp_path, driver, ways).what

    def test_a_folder_that_cannot_be_made(self, root: DriverRoot, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(HostError, match=str(tmp_path / "file")):
            tree.build(str(tmp_path / "file/generation"), contents(root.files()))

    def test_an_interruption_leaves_nothing(self, root: DriverRoot, tmp_path: Path) -> None:
        driver = root.files()
        broken = layout.content(driver, ("utility",))._replace(links=(("lib64/x", "no OSError\0"),))
        with pytest.raises(ValueError, match="null"):
            tree.build(str(tmp_path / "generation"), {"utility": broken}, ("link",))
        assert os.listdir(tmp_path / "generation") == []


def test_absolute_library_paths_become_names(root: DriverRoot, tmp_path: Path) -> None:
    """NixOS: the store's path is not there in a container. The host's own file stays as it is."""
    generation = build(root, tmp_path, ("link",))
    written = generation / "all/share/glvnd/egl_vendor.d/10_nvidia.json"
    assert written.read_text() == '{"ICD": {"library_path": "libEGL_nvidia.so.0"}}'
    assert stat.S_IMODE(written.stat().st_mode) == 0o644
    assert "/nix/store" in Path(f"{root.folder}/usr/share/glvnd/egl_vendor.d/10_nvidia.json").read_text()
    assert (generation / "all/share/vulkan/icd.d/nvidia_icd.json").samefile(
        f"{root.folder}/etc/vulkan/icd.d/nvidia_icd.json"
    )


def test_removal(root: DriverRoot, tmp_path: Path) -> None:
    generation = build(root, tmp_path / "trees")
    tree.remove(str(generation))
    assert os.listdir(tmp_path / "trees") == []
    assert Path(f"{root.folder}{LIB}/libcuda.so.{VERSION}").exists()


@pytest.mark.parametrize("way", ["link", "copy"])
def test_all_of_it_is_on_disk_before_it_has_its_name(
    root: DriverRoot, tmp_path: Path, synced: list[str], way: Way
) -> None:
    """Hard links are the host's own files: only the folders that name them are new."""
    generation = build(root, tmp_path / "trees", (way,))
    names = {re.sub(r"/\.(.+)\.[0-9a-f]{8}\.tmp", r"/\1", path) for path in synced}
    made = [path for path in generation.rglob("*") if not path.is_symlink()]
    folders = {str(path) for path in made if path.is_dir()}
    own = {str(path) for path in made if path.is_file() and path.stat().st_nlink == 1}
    assert own
    assert folders | own <= names
