"""Volumes on disk: whole, replaced in one step, and never removed while somebody has them."""

import os
import shutil
from pathlib import Path

import pytest

from gpudock.compat import volume_build, volume_use
from gpudock.compat.volume import Volumes, usual_folder
from gpudock.compat.volume_name import VolumeError, parsed
from gpudock.errors import HostError, RefusedError
from gpudock.plan.document import Plan
from gpudock.refresh.paths import ROOT
from unit.compat import fixture_gpus
from unit.compat.fixture_gpus import VERSION

NAME = f"nvidia_driver_{VERSION}"


class Host:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tree = fixture_gpus.tree(folder / "tree")
        self.volumes = Volumes(f"{folder}/volumes", self.plan)
        self.volumes.prepare()

    def plan(self) -> Plan:
        return fixture_gpus.plan(self.tree)

    @property
    def versions(self) -> Path:
        return self.folder / "volumes/nvidia_driver"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_the_usual_place_is_the_one_that_scripts_know() -> None:
    assert usual_folder(ROOT) == "/var/lib/nvidia-docker/volumes"
    assert usual_folder(ROOT._replace(state="/elsewhere")) == "/elsewhere/volumes"


@pytest.mark.parametrize(("given", "place"), [(True, "/var/lib/nvidia-docker/volumes"), (False, "/home/u/volumes")])
def test_the_user_of_its_unit_has_it_too(monkeypatch: pytest.MonkeyPatch, given: bool, place: str) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 999)
    monkeypatch.setattr("os.access", lambda path, _: path == "/var/lib/nvidia-docker" and given)
    assert usual_folder(ROOT._replace(state="/home/u")) == place


def test_it_is_the_face_of_the_tree(host: Host) -> None:
    place = host.volumes.create(NAME).mountpoint
    assert volume_build.content(place) == volume_build.content(host.tree)
    assert volume_build.content(place)["lib64/gbm/nvidia-drm_gbm.so"].target == f"../libGLX_nvidia.so.{VERSION}"
    assert os.listdir(host.versions) == [VERSION]


def test_the_same_driver_with_other_files_replaces_it(host: Host) -> None:
    place = Path(host.volumes.create(NAME).mountpoint)
    before = place.stat().st_ino
    host.volumes.create(NAME)
    assert place.stat().st_ino == before
    host.tree = fixture_gpus.tree(host.folder / "again")
    Path(host.tree, "lib/libcuda.so.1").write_text("32 bits")
    held = os.open(place, os.O_PATH)  # as a container has it
    host.volumes.create(NAME)
    assert (place / "lib/libcuda.so.1").read_text() == "32 bits"
    assert not Path(f"/proc/self/fd/{held}/lib/libcuda.so.1").exists()
    os.close(held)
    assert os.listdir(host.versions) == [VERSION]


def test_a_harmed_volume_is_mended(host: Host) -> None:
    place = Path(host.volumes.create(NAME).mountpoint)
    (place / "lib64/libcuda.so").unlink()
    host.volumes.create(NAME)
    assert (place / "lib64/libcuda.so").readlink() == Path(f"libcuda.so.{VERSION}")


def inodes(folder: str) -> set[int]:
    return {(Path(here) / name).stat().st_ino for here, _, names in os.walk(folder) for name in names}


def test_no_file_is_the_drivers_own(host: Host) -> None:
    place = Path(host.volumes.create(NAME).mountpoint)
    assert inodes(str(place)).isdisjoint(inodes(host.tree))
    with (place / "bin/nvidia-smi").open("a") as file:
        file.write("evil")
    assert Path(host.tree, "bin/nvidia-smi").read_text() == "smi"


def test_volumes_of_hard_links_get_files_of_their_own(host: Host) -> None:
    """As nvidia-docker 1 left them, of whichever version; and somebody has put a link there that leads to others."""
    old = host.versions / "367.57"
    shutil.copytree(host.tree, old, symlinks=True, copy_function=os.link)
    (host.folder / "other/deep").mkdir(parents=True)
    (host.folder / "other/deep/file").write_text("other")
    (host.folder / "other/again").hardlink_to(host.folder / "other/deep/file")
    (old / "bin/.01234567.tmp").write_text("one that was killed")
    (old / "bin/twice").hardlink_to(old / "bin/nvidia-smi")
    (old / "lib64/others").symlink_to(host.folder / "other")
    before, other = volume_build.content(str(old)), inodes(f"{host.folder}/other")
    del before["bin/.01234567.tmp"]
    host.volumes.prepare()
    assert volume_build.content(str(old)) == before
    assert {path.stat().st_nlink for path in old.rglob("*") if path.is_file() and "others" not in path.parts} == {1}
    assert (old / "bin/nvidia-smi").stat().st_mode & 0o7777 == 0o755
    assert inodes(f"{host.folder}/other") == other
    once = inodes(str(old))
    host.volumes.prepare()
    assert inodes(str(old)) == once


def test_links_within_a_volume_are_left(host: Host) -> None:
    """Else a container could have the machine copy what it likes: a file of a terabyte, full of holes."""
    place = Path(host.volumes.create(NAME).mountpoint)
    with (place / "lib/huge").open("w") as file:
        file.truncate(1 << 40)
    (place / "bin/huge").hardlink_to(place / "lib/huge")
    host.volumes.prepare()
    assert (place / "bin/huge").samefile(place / "lib/huge")


def test_a_volume_that_cannot_get_files_of_its_own_is_not_served(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(host.tree, host.versions / "367.57", symlinks=True, copy_function=os.link)

    def full(_: str, target: str, __: object) -> None:
        raise HostError(f"Cannot put {target}.", why="No space left on device")

    monkeypatch.setattr("gpudock.refresh.place.place", full)
    with pytest.raises(HostError, match=r"367\.57 may hold the driver's own files") as caught:
        host.volumes.prepare()
    assert "hard link, and cannot be replaced: No space left on device" in caught.value.why
    assert "free some space" in caught.value.mend


def test_what_a_killed_build_left_goes(host: Host) -> None:
    (host.versions / f".{VERSION}.01234567.tmp/lib64").mkdir(parents=True)
    (host.versions / "somebody's").mkdir()
    host.volumes.prepare()
    assert os.listdir(host.versions) == ["somebody's"]
    assert host.volumes.all() == []


def test_a_link_is_no_volume(host: Host) -> None:
    (host.versions / "1.0").symlink_to("/etc")
    assert host.volumes.all() == []
    with pytest.raises(VolumeError, match="no such volume"):
        host.volumes.find("nvidia_driver_1.0")


def test_links_that_lead_out_are_refused(host: Host) -> None:
    Path(host.tree, "lib64/libevil.so").symlink_to("../../../etc/passwd")
    with pytest.raises(RefusedError, match="leads out"):
        host.volumes.create(NAME)
    assert os.listdir(host.versions) == []


def test_a_tree_that_changes_meanwhile_is_not_taken(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def place(source: str, target: str, _: object) -> None:
        Path(target).write_text(Path(source).read_text() + "x")

    monkeypatch.setattr("gpudock.refresh.place.place", place)
    with pytest.raises(HostError, match="changed"):
        host.volumes.create(NAME)
    assert os.listdir(host.versions) == []


def test_a_folder_that_others_can_change_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("open/volumes", "link"):
        with pytest.raises(RefusedError, match="must not be kept"):
            Volumes(f"{tmp_path}/{name}", lambda: fixture_gpus.plan("")).prepare()


def test_who_cannot_see_mounts_goes_by_dockers_word(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """As another user than root: a container counts until Docker says that it ended, and nothing it may have goes."""
    monkeypatch.setattr("gpudock.compat.volume.blind", lambda: True)
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    volumes = Volumes(host.volumes.folder, host.plan)
    volumes.create(NAME)
    volumes.mount(NAME, "one")
    host.tree = fixture_gpus.tree(host.folder / "again")
    Path(host.tree, "lib/libcuda.so.1").write_text("32 bits")
    volumes.create(NAME)
    now = 86400.0
    with pytest.raises(VolumeError, match="in use"):
        volumes.remove(NAME)
    volumes.prepare()
    assert len(os.listdir(host.versions)) == 2  # the replaced one, which the container has mounted
    volumes.unmount(NAME, "one")
    volumes.remove(NAME)
    assert volumes.all() == []


def test_order_and_names(host: Host) -> None:
    for version in ("99.1", "367.57", "1000.2"):
        (host.versions / version).mkdir()
    assert [each.name for each in host.volumes.all()] == [
        f"nvidia_driver_{each}" for each in ("99.1", "367.57", "1000.2")
    ]
    assert str(parsed("nvidia_driver_580.159.04")) == "nvidia_driver_580.159.04"
    with pytest.raises(VolumeError, match=r"unsupported volume: a_b_1\.0"):
        parsed("a_b_1.0")


def test_a_file_system_is_found_by_its_own_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state folder on a file system of its own, mounted elsewhere in a container, with a space in its name."""
    (tmp_path / "my disk/volumes").mkdir(parents=True)
    disk = str(tmp_path / "my disk")
    own = [("0:1", "/", "/"), ("8:1", "/sub", disk)]
    others = own

    def table(process: str) -> list[volume_use.Mounted]:
        return [volume_use.Mounted(*row) for row in (own if process == "self" else others)]

    monkeypatch.setattr(volume_use, "_table", table)
    assert not volume_use.in_use(f"{disk}/volumes")
    for row, used in {
        ("8:1", "/sub/volumes", "/usr/local/nvidia"): True,
        ("8:1", "/sub/volumes/lib64", "/x"): True,
        ("8:1", "/sub/volumes2", "/x"): False,
        ("8:2", "/sub/volumes", "/x"): False,
        ("8:1", "/volumes", "/x"): False,
        ("8:1", "/sub", "/host"): False,
    }.items():
        others = [*own, row]
        assert volume_use.in_use(f"{disk}/volumes") == used, row


def test_the_machines_own_table_is_read() -> None:
    assert volume_use._plain(r"/a\040b\134c") == r"/a b\c"
    assert any(each.point == "/" for each in volume_use._table("self"))
