"""Volumes over the linker cache, and read-only containers: a file is mounted there that only the container sees."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from gpudock.start import cover, lookup
from real import hook_stage
from real.harness import images, mounts
from real.harness.commands import run
from real.hook_stage import LIBRARY, Outcome, Stage, digest

pytestmark = pytest.mark.real
CACHE = "/etc/ld.so.cache"
LOOK = f"/probe {LIBRARY}; grep ' {CACHE} ' /proc/self/mountinfo; echo x 2>/dev/null >{CACHE} || echo refused"
# The runtime with everything shared, as systemd has it; what is mounted meanwhile and stays is seen.
SHARED = (
    *("unshare", "--mount", "--propagation", "shared", "sh", "-c"),
    'cat /proc/self/mountinfo >$0/before; "$@"; code=$?; cat /proc/self/mountinfo >$0/after; exit $code',
)


@pytest.fixture(params=["runc", "crun"])
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def stage(session_root: Path) -> Stage:
    return hook_stage.build(session_root / "hook-covered")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    images.unpack("tiny", tmp_path / "rootfs")
    return tmp_path


def volume_of(bundle: Path, covered: str) -> Path:
    """Somebody's data on the host, like what the image has there."""
    volume, inside = bundle / "data/volume", bundle / "rootfs" / covered[1:]
    volume.parent.mkdir()
    shutil.copytree(inside, volume) if inside.is_dir() else shutil.copy(inside, volume)
    return volume


def check_covered(done: Outcome) -> None:
    """The loader finds the driver, by a file that the container cannot change."""
    found, *_, mounted, refused = done.out.splitlines()  # a volume on the file itself is there too
    assert found.startswith(f"{LIBRARY} ok /usr/local/nvidia/lib64/")
    options = mounted.partition(" - ")[0].split()
    assert {"ro", "nosuid", "nodev"} <= set(options[5].split(","))
    assert not [word for word in options[6:] if word.startswith("shared:")]
    assert mounted.partition(" - ")[2].startswith("tmpfs ")
    assert refused == "refused"


@pytest.mark.parametrize("way", lookup.NAMES)
@pytest.mark.parametrize("covered", ["/etc", CACHE])
def test_a_volume_over_the_cache(stage: Stage, bundle: Path, runtime: str, covered: str, way: str) -> None:
    volume = volume_of(bundle, covered)
    before = digest(volume.parent)
    done = stage.start(runtime, bundle, ["/bin/sh", "-c", LOOK], mounts=[(volume, covered)], lookup=way)
    assert done.code == 0, done.err
    check_covered(done)
    assert digest(volume.parent) == before
    assert mounts.below(bundle) == []


def test_the_cache_in_a_volume_is_the_one_that_is_extended(stage: Stage, bundle: Path, runtime: str) -> None:
    """Not the image's, which nobody sees: libraries that were installed into the volume are still found."""
    volume = volume_of(bundle, "/etc")
    extra = bundle / "rootfs/opt/extra"
    extra.mkdir(parents=True)
    run(["cc", "-shared", "-Wl,-soname,libextra.so.1", "-o", str(extra / "libextra.so.1"), "-x", "c", "/dev/null"])
    (volume / "ld.so.conf.d/extra.conf").write_text("/opt/extra\n")
    image_etc = bundle / "rootfs/etc"
    image_etc.rename(bundle / "rootfs/etc.aside")
    shutil.copytree(volume, image_etc)
    run(["ldconfig", "-r", str(bundle / "rootfs")])
    shutil.copy(image_etc / "ld.so.cache", volume / "ld.so.cache")
    shutil.rmtree(image_etc)
    (bundle / "rootfs/etc.aside").rename(image_etc)
    done = stage.start(runtime, bundle, ["/probe", LIBRARY, "libextra.so.1"], mounts=[(volume, "/etc")])
    assert [line.split()[1] for line in done.out.splitlines()] == ["ok", "ok"], done.err


@pytest.mark.parametrize("kind", ["nothing", "folder", "dangling", "to the host", "fifo"])
def test_a_volume_with_something_else_there_is_refused_by_name(
    stage: Stage, bundle: Path, runtime: str, kind: str
) -> None:
    volume = volume_of(bundle, "/etc")
    place = volume / "ld.so.cache"
    place.unlink()
    if kind == "folder":
        place.mkdir()
    elif kind == "fifo":
        os.mkfifo(place)
    elif kind != "nothing":
        place.symlink_to("/nowhere" if kind == "dangling" else bundle / "config.json")
    before = digest(volume)
    done = stage.start(runtime, bundle, mounts=[(volume, "/etc")])
    assert done.code != 0
    assert CACHE in done.err
    assert ("the volume on /etc covers it" in done.err) == (kind == "nothing")
    assert digest(volume) == before


def test_a_read_only_volume(stage: Stage, bundle: Path, runtime: str) -> None:
    given = [(volume_of(bundle, "/etc"), "/etc")]
    options = ("rbind", "rprivate", "ro")
    done = stage.start(runtime, bundle, ["/bin/sh", "-c", LOOK], mounts=given, options=options)
    assert done.code == 0, done.err
    check_covered(done)


def test_a_read_only_container(stage: Stage, bundle: Path, runtime: str) -> None:
    """runc makes it so after the hooks, crun before."""
    before = digest(bundle / "rootfs/etc")
    done = stage.start(runtime, bundle, ["/bin/sh", "-c", LOOK], root={"path": "rootfs", "readonly": True})
    assert done.code == 0, done.err
    if runtime == "crun":
        check_covered(done)
        assert "the read-only root file system keeps out /usr/bin/nvidia-smi" in done.err
        assert digest(bundle / "rootfs/etc") == before
    else:
        assert done.out.startswith(f"{LIBRARY} ok ")


def test_in_a_user_namespace(stage: Stage, bundle: Path, runtime: str) -> None:
    volume = volume_of(bundle, "/etc")
    (bundle / "rootfs/usr/local/nvidia").mkdir(parents=True)
    run(["chown", "-hR", "100000:100000", str(bundle)])
    for above in (stage.folder.parent, *bundle.parents[: len(bundle.parents) - 2]):  # but / and /tmp
        above.chmod(above.stat().st_mode | 0o711)
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    kinds = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network", "user")]
    linux: dict[str, Any] = {"namespaces": kinds, "uidMappings": mapping, "gidMappings": mapping}
    before = digest(volume.parent)
    look = f"{LOOK}; ls -n {CACHE} >&2"
    done = stage.start(runtime, bundle, ["/bin/sh", "-c", look], mounts=[(volume, "/etc")], linux=linux)
    assert done.code == 0, done.err
    check_covered(done)
    assert "-rw-r--r--    1 0        0 " in done.err
    assert digest(volume.parent) == before


def test_the_label_is_kept(tmp_path: Path) -> None:
    """SELinux would else not let the container read the file."""
    label = b"system_u:object_r:container_file_t:s0\0"
    (tmp_path / "like").touch()
    os.setxattr(tmp_path / "like", "security.selinux", label)
    folder, like = os.open(tmp_path, os.O_RDONLY), os.open(tmp_path / "like", os.O_PATH)
    cover._write(folder, b"data", 0o444, like)
    os.close(folder)
    os.close(like)
    assert os.getxattr(tmp_path / "file", "security.selinux") == label
    assert ((tmp_path / "file").read_bytes(), (tmp_path / "file").stat().st_mode & 0o777) == (b"data", 0o444)


@pytest.mark.parametrize("covered", ["/etc", CACHE])
def test_a_shared_volume_is_refused_for_the_mount_would_be_seen_on_the_host(
    stage: Stage, bundle: Path, covered: str
) -> None:
    volume = volume_of(bundle, covered)
    before = digest(volume.parent)
    wrapper = (*SHARED, str(bundle))
    done = stage.start("runc", bundle, mounts=[(volume, covered)], options=("rbind", "rshared", "rw"), wrapper=wrapper)
    assert done.code != 0
    assert f"the volume on {covered} covers it" in done.err
    assert digest(volume.parent) == before
    assert (bundle / "before").read_text() == (bundle / "after").read_text()


@pytest.mark.parametrize("rootfs_propagation", ["", "shared", "rshared", "slave"])
def test_no_mount_is_left_on_the_host(stage: Stage, bundle: Path, rootfs_propagation: str) -> None:
    """Also with a volume whose cache is covered, with shared mounts below it and around it."""
    volume = volume_of(bundle, "/etc")
    (bundle / "other").mkdir()
    linux = hook_stage.configuration([], [], [])["linux"]
    if rootfs_propagation:
        linux["rootfsPropagation"] = rootfs_propagation
    wrapper = (*SHARED, str(bundle))
    for _ in range(5):
        given = [(volume, "/etc"), (bundle / "other", "/mnt")]
        done = stage.start(
            "runc", bundle, mounts=given, options=("rbind", "rslave", "rw"), wrapper=wrapper, linux=linux
        )
        assert done.code == 0 or "the volume on /etc covers it" in done.err
        assert (bundle / "before").read_text() == (bundle / "after").read_text()
