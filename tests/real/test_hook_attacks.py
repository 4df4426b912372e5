"""Images and volumes that led other toolkits to write on the host, or to run the image's code as root: under runc and
crun, with a folder and a marker of the host that must stay as they are.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gpudock.start import lookup
from real import hook_stage
from real.harness import images, mounts
from real.harness.commands import run
from real.hook_stage import LIBRARY, LINKS, MOUNT_POINT, Stage, digest
from unit.start.traps import SHAPES

pytestmark = pytest.mark.real
PLACES = ("/etc/ld.so.cache", "/etc/ld.so.conf.d/00-gpudock.conf", "/usr/bin/nvidia-smi")
# A shared object whose loading alone leaves a mark on the host.
POISON = """
#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void mark(void) { close(open("%s", O_CREAT | O_WRONLY, 0666)); }
"""
PYTHON_POISON = "open({!r}, 'w').close()\n"


@dataclass(frozen=True)
class Case:
    bundle: Path
    host: Path  # a folder of the host that no container is given
    marker: Path  # made by whatever of the image is run as the host's root

    @property
    def root(self) -> Path:
        return self.bundle / "rootfs"


@pytest.fixture(params=["runc", "crun"])
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def stage(session_root: Path) -> Stage:
    return hook_stage.build(session_root / "hook-attacks")


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    """A glibc image. Afterwards: the host's folder untouched, no marker, no mount and no temporary file left."""
    made = Case(tmp_path / "bundle", tmp_path / "host", tmp_path / "marker")
    images.unpack("tiny", made.root)
    made.host.mkdir()
    (made.host / "owned").write_text("the host's")
    before = digest(made.host)
    yield made
    assert digest(made.host) == before
    assert not made.marker.exists()
    assert mounts.below(tmp_path) == []
    assert not list(tmp_path.rglob(".gpudock-*"))


# Each way of looking up under one of the two: neither knows of the other, and unit tests have all traps of each way.
@pytest.mark.parametrize(("runtime", "lookup"), [*zip(("runc", "crun"), lookup.NAMES, strict=True)])
@pytest.mark.parametrize("trap", [(place, shape) for place in PLACES for shape in SHAPES], ids=" ".join)
def test_links_that_lead_out(stage: Stage, case: Case, runtime: str, trap: tuple[str, str], lookup: str) -> None:
    place, shape = trap
    target = case.root / place[1:]
    if target.exists():
        target.unlink()
    SHAPES[shape](target, case.host)
    done = stage.start(runtime, case.bundle, lookup=lookup)
    if done.code == 0:
        assert os.readlink(case.root / "usr/bin/nvidia-smi") == f"{MOUNT_POINT}/bin/nvidia-smi"
    else:
        assert os.path.dirname(place) in done.err, "the message names the place"


@pytest.mark.parametrize("folder", ["etc", "usr/lib", "run", "tmp", "usr/bin", "etc/ld.so.conf.d"])
@pytest.mark.parametrize("relative", [False, True])
def test_whole_folders_that_lead_out(stage: Stage, case: Case, runtime: str, folder: str, *, relative: bool) -> None:
    """Refused, or harmless: the link leads nowhere inside."""
    place = case.root / folder
    shutil.rmtree(place, ignore_errors=True)
    place.symlink_to("../" * 20 + str(case.host)[1:] if relative else case.host)
    done = stage.start(runtime, case.bundle)
    assert (done.code == 0) == (folder in {"run", "tmp", "usr/lib"}), done.err


@pytest.mark.parametrize("name", ["dev", "proc", "sys"])
@pytest.mark.parametrize("kind", ["absolute", "relative", "inside"])
def test_links_in_place_of_the_kernels_folders(stage: Stage, case: Case, runtime: str, name: str, kind: str) -> None:
    """The runtime comes first, and older ones follow such links on the host: so much is compared, and no more."""
    elsewhere = {hooked: case.bundle / f"elsewhere-{hooked}" for hooked in (False, True)}
    place = case.root / name
    shutil.rmtree(place)
    left = []
    for hooked, folder in elsewhere.items():
        folder.mkdir()
        (folder / "ptmx").touch()
        inside = case.root / "opt/elsewhere"
        inside.mkdir(parents=True, exist_ok=True)
        target = {"absolute": str(folder), "relative": "../" * 20 + str(folder)[1:], "inside": "/opt/elsewhere"}[kind]
        place.unlink(missing_ok=True)
        place.symlink_to(target)
        done = stage.start(runtime, case.bundle, dev=True, hook=hooked)
        left.append(sorted(os.listdir(folder)))
        if hooked:
            assert done.code != 0
    assert left[0] == left[1]
    assert not (case.root / "usr/bin/nvidia-smi").is_symlink(), "the hook did nothing there"


def test_libraries_as_traps(stage: Stage, case: Case, runtime: str) -> None:
    """The layout of CVE-2024-0132: bind-mounting file by file follows a link and shows the host's root."""
    compat, libraries = case.root / "usr/local/cuda/compat", case.root / "usr/lib/x86_64-linux-gnu"
    (compat / "libnvidia-ml.so.6").mkdir(parents=True)
    (compat / "libnvidia-ml.so.7").touch()
    (compat / "libnvidia-ml.so.6/libnvidia-ml.so.7").symlink_to("../" * 8 + "..")
    libraries.mkdir(parents=True, exist_ok=True)
    (libraries / "libnvidia-ml.so.6").symlink_to("../../../usr/local/cuda/compat")
    look = f"test ! -e /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.7{case.host} && /probe {LIBRARY}"
    done = stage.start(runtime, case.bundle, ["/bin/sh", "-c", look])
    assert (done.code, done.out.split()[1:2]) == (0, ["ok"]), done.err


@pytest.mark.parametrize(
    "env",
    [
        ["LD_PRELOAD=/proc/self/cwd/poison.so"],
        ["LD_AUDIT=/proc/self/cwd/poison.so"],
        ["LD_LIBRARY_PATH=/proc/self/cwd"],
        ["GLIBC_TUNABLES=glibc.malloc.check=3:glibc.rtld.optional_static_tls=99999999", "LD_PRELOAD=poison.so"],
        ["GCONV_PATH=/proc/self/cwd", "LC_ALL=C.POISON", "LANG=C.POISON", "PYTHONIOENCODING=POISON"],
        ["LOCPATH=/proc/self/cwd", "LC_ALL=poison", "NLSPATH=/proc/self/cwd/%N"],
    ],
    ids=lambda env: env[0].partition("=")[0],
)
def test_the_images_environment_does_not_reach_the_loader(
    stage: Stage, case: Case, runtime: str, env: list[str]
) -> None:
    """CVE-2025-23266: the hook's working directory is the root file system."""
    (case.root / "gconv-modules").write_text("module POISON// INTERNAL poison 1\nmodule INTERNAL POISON// poison 1\n")
    source = case.bundle / "poison.c"
    source.write_text(POISON % case.marker)
    run(["cc", "-shared", "-fPIC", "-o", str(case.root / "poison.so"), str(source)])
    shutil.copy(case.root / "poison.so", case.root / "libc.so.6")
    shutil.copy(case.root / "poison.so", case.root / "libm.so.6")
    stage.start(runtime, case.bundle, env=env)
    assert (case.root / "etc/ld.so.conf.d/00-gpudock.conf").exists(), "the hook has run"


def test_the_images_python_is_not_loaded(stage: Stage, case: Case, runtime: str) -> None:
    poison = PYTHON_POISON.format(str(case.marker))
    for name in ("json", "os", "struct", "resource", "sitecustomize", "usercustomize", "gpudock", "encodings"):
        for folder in ("", "py", "lib/python3.11", "usr/lib/python3.11"):
            place = case.root / folder / f"{name}.py"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(poison)
    env = ["PYTHONPATH=/proc/self/cwd/py", "PYTHONHOME=/proc/self/cwd", "PYTHONSTARTUP=/json.py", "PATH=.:/bin"]
    done = stage.start(runtime, case.bundle, env=env)
    assert done.code == 0, done.err


def test_descriptors_of_the_host_do_not_reach_the_container(stage: Stage, case: Case, runtime: str) -> None:
    """CVE-2024-21626: one that is left open is a way out."""
    opening = " ".join(f"{number}<{case.host}" for number in range(20, 40))
    wrapper = ("bash", "-c", f'exec {opening}; "$@"', "bash")
    done = stage.start(runtime, case.bundle, ["/bin/ls", "/proc/self/fd"], wrapper=wrapper)
    assert (done.code, done.out.split()) == (0, ["0", "1", "2", "3"]), done.err  # 3: the folder that is listed


def test_the_images_programs_are_not_run(stage: Stage, case: Case, runtime: str) -> None:
    for place in ("sbin/ldconfig", "sbin/ldconfig.real", "bin/sh", "usr/bin/python3", "usr/bin/env", "python3"):
        path = case.root / place
        path.unlink(missing_ok=True)
        path.write_text("#!/bin/busybox sh\n/bin/busybox touch /ran\n")
        path.chmod(0o755)
    done = stage.start(runtime, case.bundle)
    assert done.code == 0, done.err
    assert not (case.root / "ran").exists()


def test_a_volume_over_other_places_is_left_alone(stage: Stage, case: Case, runtime: str) -> None:
    """The container starts: programs find the driver, only the fixed places in the volume are missing."""
    volume = case.bundle / "volume"
    shutil.copytree(case.root / "usr", volume, symlinks=True)
    (volume / "local/nvidia").mkdir(parents=True)
    before = digest(volume)
    done = stage.start(
        runtime, case.bundle, ["/probe", LIBRARY], mounts=[(volume, "/usr"), (stage.tree, MOUNT_POINT)], tree=False
    )
    assert (done.code, done.out.split()[1:2]) == (0, ["ok"]), done.err
    assert digest(volume) == before
    if runtime == "crun":  # runc shows what a hook says only when it fails
        assert "note: the volume on /usr keeps out /usr/bin/nvidia-smi, /usr/share/vulkan" in done.err
    assert (case.root / "etc/OpenCL/vendors/nvidia.icd").is_symlink()


def test_a_volume_without_a_linker_in_the_image(stage: Stage, case: Case, runtime: str) -> None:
    shutil.rmtree(case.root)
    images.unpack("busybox", case.root)
    done = stage.start(runtime, case.bundle, mounts=[(case.host, "/etc")])
    assert done.code == 0, done.err
    assert set(LINKS) - {path for path in LINKS if (case.root / path[1:]).is_symlink()} == {
        "/etc/OpenCL/vendors/nvidia.icd"
    }


@pytest.mark.parametrize("covered", [MOUNT_POINT, "/usr/local"])
def test_a_volume_over_the_driver_is_refused(stage: Stage, case: Case, runtime: str, covered: str) -> None:
    done = stage.start(runtime, case.bundle, mounts=[(case.host, covered)])
    assert done.code != 0
    assert f"The driver tree is not mounted at {MOUNT_POINT}" in done.err
    assert "volume" in done.err


def test_a_container_that_was_given_no_driver(stage: Stage, case: Case, runtime: str) -> None:
    done = stage.start(runtime, case.bundle, tree=False)
    assert done.code != 0
    assert "is not mounted" in done.err
