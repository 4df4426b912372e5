"""Images, volumes and command lines that led other runtimes to write on the host or to run the image's code as root,

under our runtime: with a folder and a marker of the host that must stay as they are.
"""

import copy
import hashlib
import json
import os
import random
import re
import shutil
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gpudock.errors import GpudockError
from gpudock.plan import capabilities
from gpudock.plan.request import VOID
from gpudock.plan.select import select
from gpudock.start import asked, changes, current, encode, injection, oci, runtime, settings
from gpudock.start.changes import Changes
from gpudock.start.volumes import ContainerRoot
from real import runtime_stage
from real.harness import images, mounts, rootfs, runtimes
from real.harness.commands import run
from real.harness.engines import Engine
from real.harness.product import Product, product
from real.harness.runtimes import Configured
from real.hook_stage import PYTHON, Outcome, digest
from real.runtime_stage import ALL, EVERYTHING, ONE, Bundle, Stage, config
from real.test_hook_attacks import POISON, PYTHON_POISON
from unit.start.traps import SHAPES

pytestmark = pytest.mark.real
CUDA = "libcuda.so.1"
FOUND = f"{CUDA} ok /usr/local/nvidia/lib64/{CUDA} "


@dataclass(frozen=True)
class Case:
    """`host`: a folder that no container is given; `marker`: made by whatever of the image is run as the host's root."""

    bundle: Bundle
    host: Path
    marker: Path

    @property
    def root(self) -> Path:
        return self.bundle.root

    def untouched(self, before: str) -> None:
        assert digest(self.host) == before
        assert not self.marker.exists()
        assert mounts.below(self.bundle.folder.parent) == []
        assert not list(self.bundle.folder.parent.rglob(".gpudock-*"))
        assert not list(self.bundle.folder.glob("*.gpudock"))


@pytest.fixture(scope="session")
def stage(session_root: Path) -> Stage:
    return runtime_stage.build(session_root / "runtime-attacks")


def lay_out(stage: Stage, folder: Path, image: str) -> Case:
    made = Case(stage.bundle(folder / "bundle", image), folder / "host", folder / "marker")
    made.host.mkdir()
    (made.host / "owned").write_text("the host's")
    return made


@pytest.fixture
def case(stage: Stage, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Case]:
    """A bundle, of a glibc image unless the test says otherwise."""
    made = lay_out(stage, tmp_path, getattr(request, "param", "tiny"))
    before = digest(made.host)
    yield made
    made.untouched(before)


small = pytest.mark.parametrize("case", ["small"], indirect=True)


def test_the_images_environment_does_not_reach_the_loader(stage: Stage, case: Case) -> None:
    """CVE-2025-23266, with each of the loader's and Python's variables, from wherever an engine may start a runtime."""
    source = case.bundle.folder / "poison.c"
    source.write_text(POISON % case.marker)
    run(["cc", "-shared", "-fPIC", "-o", str(case.root / "poison.so"), str(source)])
    for name in ("libc.so.6", "libm.so.6"):
        shutil.copy(case.root / "poison.so", case.root / name)
    (case.root / "gconv-modules").write_text("module POISON// INTERNAL poison 1\nmodule INTERNAL POISON// poison 1\n")
    for env in (
        ["LD_PRELOAD=/proc/self/cwd/poison.so"],
        ["LD_PRELOAD=/proc/self/cwd/rootfs/poison.so", "LD_BIND_NOW=1"],
        ["LD_AUDIT=/proc/self/cwd/poison.so"],
        ["LD_LIBRARY_PATH=/proc/self/cwd"],
        ["GLIBC_TUNABLES=glibc.malloc.check=3:glibc.rtld.optional_static_tls=99999999", "LD_PRELOAD=poison.so"],
        ["GCONV_PATH=/proc/self/cwd", "LC_ALL=C.POISON", "LANG=C.POISON", "PYTHONIOENCODING=POISON"],
        ["LOCPATH=/proc/self/cwd", "LC_ALL=poison", "NLSPATH=/proc/self/cwd/%N"],
        ["PYTHONPATH=/proc/self/cwd", "PYTHONHOME=/proc/self/cwd", "PYTHONSTARTUP=/poison.py", "PATH=.:/bin"],
    ):
        for place in (case.root, case.bundle.folder):
            done = stage.start(case.bundle, env=[ONE, *env], cwd=place)
            assert done.code == 0, (env, done.err)
            assert not case.marker.exists(), env


@pytest.mark.parametrize("place", ["rootfs", "bundle"])
def test_python_beside_the_runtime_is_not_loaded(stage: Stage, case: Case, place: str) -> None:
    """In the image, in the bundle, in the working folder, and where the engine's own variables point."""
    folder = case.root if place == "rootfs" else case.bundle.folder
    for name in (
        *("json", "_json", "os", "struct", "entry", "runtime", "hook", "_signal", "gc", "marshal", "sitecustomize"),
        *("usercustomize", "encodings", "gpudock", "gpudock/__init__", "gpudock/start/__init__", "gpudock/errors"),
    ):
        for below in ("", "py", "lib/python3.11", "usr/lib/python3.11"):
            file = folder / below / f"{name}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(PYTHON_POISON.format(str(case.marker)))
    hostile = {"PYTHONPATH": str(folder), "PYTHONHOME": str(folder), "PYTHONSTARTUP": str(folder / "json.py")}
    for environment in (None, os.environ | hostile):
        done = stage.start(case.bundle, ["/probe", CUDA], cwd=folder, environment=environment)
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith(FOUND)


def test_libraries_as_traps(stage: Stage, case: Case) -> None:
    """The layout of CVE-2024-0132: bind-mounting file by file follows a link and shows the host's root."""
    compat, libraries = case.root / "usr/local/cuda/compat", case.root / "usr/lib/x86_64-linux-gnu"
    (compat / "libnvidia-ml.so.6").mkdir(parents=True)
    (compat / "libnvidia-ml.so.7").touch()
    (compat / "libnvidia-ml.so.6/libnvidia-ml.so.7").symlink_to("../" * 8 + "..")
    libraries.mkdir(parents=True, exist_ok=True)
    (libraries / "libnvidia-ml.so.6").symlink_to("../../../usr/local/cuda/compat")
    look = f"test ! -e /usr/lib/x86_64-linux-gnu/libnvidia-ml.so.7{case.host} && /probe {CUDA}"
    done = stage.start(case.bundle, ["/bin/sh", "-c", look])
    assert (done.code, done.out[: len(FOUND)]) == (0, FOUND), done.err


def written(stage: Stage) -> list[str]:
    """Every path in a container that the runtime writes or has mounted on: of the code, and of the plan's links."""
    (path,) = (stage.gpudock.folder / "run/plans").glob("*.json")
    variant = json.loads(path.read_text())["variants"]["all"]
    links = [link["path"].replace("@lib", "/usr/lib/x86_64-linux-gnu") for link in variant["links"]]
    targets = [mount["container"] for mount in variant["mounts"]]
    assert len(links) > 10
    assert len(targets) > 1
    return [
        *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d/00-gpudock.conf", "/etc/ld-musl-x86_64.path"),
        "/etc/nvidia/nvidia-application-profiles-rc.d/10-container.conf",
        *links,
        *targets,
    ]


@pytest.mark.parametrize("shape", SHAPES)
def test_links_that_lead_out_at_every_place_that_is_written(stage: Stage, tmp_path: Path, shape: str) -> None:
    """CVE-2024-0133, CVE-2024-0134, CVE-2025-23267: refused, naming the place, or the effect is inside only."""

    def attack(place: str) -> None:
        made = lay_out(stage, tmp_path / re.sub(r"\W", "_", place), "small")
        (made.root / "lib").mkdir()
        (made.root / "lib/ld-musl-x86_64.so.1").touch()
        target = made.root / place[1:]
        if target.is_dir():
            shutil.rmtree(target)
        target.unlink(missing_ok=True)
        SHAPES[shape](target, made.host)
        before = digest(made.host)
        done = stage.start(made.bundle, ["/bin/sh", "-c", f"cat {made.host}/owned; true"], env=[ALL, EVERYTHING])
        made.untouched(before)
        assert "the host's" not in done.out
        assert "Traceback" not in done.err
        assert "unexpected" not in done.err
        if done.code != 0:
            named = (os.path.basename(place), *Path(place).parts[1:-1])
            assert any(part in done.err for part in named), (place, done.err)
        elif not ("keeps out" in done.err and place in done.err):
            assert os.readlink(made.root / "usr/bin/nvidia-debugdump").startswith("/usr/local/nvidia/"), place

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(attack, written(stage)))


@small
@pytest.mark.parametrize(
    "folder", ["etc", "usr", "usr/lib", "usr/local", "run", "tmp", "usr/bin", "lib64", "etc/nvidia"]
)
@pytest.mark.parametrize("relative", [False, True], ids=["absolute", "relative"])
def test_whole_folders_that_lead_out(stage: Stage, case: Case, folder: str, *, relative: bool) -> None:
    place = case.root / folder
    shutil.rmtree(place, ignore_errors=True)
    place.symlink_to("../" * 20 + str(case.host)[1:] if relative else case.host)
    done = stage.start(case.bundle, env=[ALL, EVERYTHING])
    assert (done.code == 0) == (folder in {"run", "tmp", "usr/lib", "usr/local", "lib64"}), done.err
    assert "Traceback" not in done.err


def test_nothing_is_started_but_what_has_to_be(stage: Stage, case: Case) -> None:
    """CVE-2019-5736, CVE-2024-0135 to -0137: no ldconfig, and nothing of the image before the container itself."""
    for place in ("sbin/ldconfig", "sbin/ldconfig.real", "bin/sh", "usr/bin/python3", "usr/bin/env", "python3", "grep"):
        path = case.root / place
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/busybox sh\n/bin/busybox touch /ran\n")
        path.chmod(0o755)
    binaries = [Path(PYTHON).resolve(), Path("/usr/sbin/ldconfig"), Path("/bin/sh").resolve()]
    before = [hashlib.sha256(path.read_bytes()).hexdigest() for path in binaries]
    log = case.bundle.folder / "strace"
    done = stage.start(
        case.bundle,
        ["/probe", CUDA],
        cwd=case.root,
        wrapper=("strace", "-f", "-s", "200", "-e", "trace=execve,execveat", "-o", str(log)),
    )
    assert done.code == 0, done.err
    assert done.out.startswith(FOUND)
    assert not (case.root / "ran").exists()
    calls = [line.split(" ", 1)[1].strip() for line in log.read_text().splitlines()]
    programs = [line.split('"')[1] for line in calls if line.startswith("execve") and line.endswith(" = 0")]
    # What runc starts then is its own business.
    names = [os.path.basename(program) for program in programs]
    assert names[:4] == ["gpudock-runtime", "grep", "python3", "runc"]
    assert os.path.dirname(programs[2]) == "/usr/bin"
    assert [hashlib.sha256(path.read_bytes()).hexdigest() for path in binaries] == before


@small
def test_descriptors_that_the_engine_left_open_do_not_reach_the_container(stage: Stage, case: Case) -> None:
    """CVE-2024-21626."""
    kept = [os.open(case.host, os.O_RDONLY) for _ in range(20)]
    look = "ls -l /proc/self/fd; for fd in /proc/self/fd/*; do ls $fd/owned; done"
    done = stage.start(case.bundle, ["/bin/sh", "-c", look], pass_fds=kept)
    for fd in kept:
        os.close(fd)
    assert "-> " in done.out, done.err
    assert str(case.host) not in done.out
    assert "owned\n" not in done.out


@small
@pytest.mark.parametrize(
    "folder",
    [
        "/proc/self/fd/7",
        "//proc/self/fd/7",
        "///proc/self/fd/7",
        "/proc/../proc/self/./fd/7/",
        "/proc/1/fd/8",
        "/proc/thread-self/cwd",
        "/proc/self/task/1/fd/7",
        "/dev/fd/7",
        "/link/..",
        "/bin/../link",
    ],
)
def test_a_working_folder_among_open_descriptors_is_refused(stage: Stage, case: Case, folder: str) -> None:
    """CVE-2024-21626."""
    whole = config(["/bin/sh", "-c", "ls -a; ls ../../../.."], [ONE])
    whole["process"]["cwd"] = folder
    (case.bundle.root / "link").symlink_to("../proc/self/fd/7")
    case.bundle.file.write_text(json.dumps(whole))
    done = stage.start(case.bundle, write=False)
    assert done.code != 0
    assert "cannot be the working folder of this container" in done.err
    assert done.out == ""


@small
@pytest.mark.parametrize("name", ["dev", "proc", "sys"])
@pytest.mark.parametrize("kind", ["absolute", "relative", "inside"])
def test_links_in_place_of_the_kernels_folders(stage: Stage, case: Case, name: str, kind: str) -> None:
    """CVE-2019-19921, CVE-2026-41579: refused before any runtime touches it."""
    (case.root / "opt/elsewhere").mkdir(parents=True)
    target = {"absolute": str(case.host), "relative": "../" * 20 + str(case.host)[1:], "inside": "/opt/elsewhere"}[kind]
    shutil.rmtree(case.root / name)
    (case.root / name).symlink_to(target)
    inside = digest(case.root)
    done = stage.start(case.bundle)
    assert done.code != 0
    assert f"/{name} of this image is a link." in done.err
    assert digest(case.root) == inside, "nothing was done"


@small
@pytest.mark.parametrize("place", ["dev/null", "dev/nvidia0", "dev/nvidiactl", "dev/console", "dev/pts", "run", "tmp"])
@pytest.mark.parametrize("tmpfs", [True, False], ids=["own /dev", "the image's /dev"])
def test_links_in_place_of_devices(stage: Stage, case: Case, place: str, *, tmpfs: bool) -> None:
    """CVE-2025-31133, CVE-2025-52565, CVE-2025-52881."""
    path = case.root / place
    if path.is_dir():
        path.rmdir()
    path.symlink_to(case.host / "owned" if place.startswith("dev/n") else case.host)
    whole = config(["/bin/true"], [ONE])
    whole["mounts"] = [mount for mount in whole["mounts"] if tmpfs or mount["destination"] != "/dev"]
    case.bundle.file.write_text(json.dumps(whole))
    done = stage.start(case.bundle, write=False)
    assert done.code == 0 or not tmpfs, done.err


# The runtime with everything shared, as systemd has it, and the image as a mount of its own, as docker has it: what is
# mounted while the container runs is seen, and what stays.
SHARED = (
    *("unshare", "--mount", "--propagation", "shared", "sh", "-c"),
    (
        'mount --bind "$0/rootfs" "$0/rootfs"; cat /proc/self/mountinfo >"$0/before"; mkfifo "$0/go/on"; "$@" & pid=$!; '
        'while ! [ -e "$0/go/up" ] && kill -0 $pid 2>/dev/null; do sleep 0.01; done; exec 3<>"$0/go/on"; '
        'cat /proc/self/mountinfo >"$0/during"; echo >&3; wait $pid; code=$?; cat /proc/self/mountinfo >"$0/after"; exit $code'
    ),
)


def run_shared(stage: Stage, case: Case, volume: tuple[Path, str], propagation: str, of_volume: str) -> Outcome:
    """The container waits until its mounts have been looked at. None of them may be seen outside."""
    folder = case.bundle.folder
    (folder / "go").mkdir()
    whole = config(["/bin/sh", "-c", "touch /go/up; read line </go/on"], [ONE], [(folder / "go", "/go")])
    volume_mount = config([], mounts=[volume], options=("rbind", of_volume, "rw"))["mounts"][-1]
    whole["mounts"].append(volume_mount)
    if propagation:
        whole["linux"]["rootfsPropagation"] = propagation
    case.bundle.file.write_text(json.dumps(whole))
    done = stage.start(case.bundle, write=False, wrapper=(*SHARED, str(folder)))
    before, during, after = ((folder / name).read_text().splitlines() for name in ("before", "during", "after"))
    assert [line for line in during if line not in before] == [], "seen on the host while the container runs"
    assert [line for line in after if line not in before] == [], "left on the host"
    return done


@pytest.mark.parametrize("of_volume", ["rprivate", "rslave", "shared", "rshared"])
@pytest.mark.parametrize("covered", ["/etc", "/usr", "/mnt"])
def test_no_mount_is_seen_on_the_host(stage: Stage, case: Case, covered: str, of_volume: str) -> None:
    """Docker makes the root shared as soon as one volume is: what is mounted in that volume then shows on the host."""
    volume = case.bundle.folder / "volume"
    volume.mkdir()
    if covered != "/mnt":
        shutil.copytree(case.root / covered[1:], volume, symlinks=True, dirs_exist_ok=True)
    if covered == "/usr":
        (volume / "local/nvidia").mkdir(parents=True)
    before = digest(volume)
    propagation = "rshared" if of_volume.endswith("shared") else ""
    done = run_shared(stage, case, (volume, covered), propagation, of_volume)
    assert digest(volume) == before
    assert done.code == 0 or f"the volume on {covered} covers it" in done.err, done.err
    if covered == "/mnt" or not propagation:
        assert done.code == 0, done.err


def test_the_mount_table_does_not_grow(stage: Stage, case: Case) -> None:
    """Of the machine itself, over 20 starts."""
    before = Path("/proc/self/mountinfo").read_text()
    volume = case.bundle.folder / "volume"
    shutil.copytree(case.root / "etc", volume, symlinks=True)
    for _ in range(20):
        done = stage.start(case.bundle, mounts=[(volume, "/etc")], options=("rbind", "rshared", "rw"))
        assert done.code == 0 or "the volume on /etc covers it" in done.err
    assert Path("/proc/self/mountinfo").read_text() == before


# --- volumes, by runc alone -------------------------------------------------------------------------------------------

LOOK = f"/probe {CUDA}; echo x 2>/dev/null >/etc/ld.so.cache || echo refused"


def volume_of(case: Case, covered: str) -> Path:
    """Somebody's data on the host, like what the image has there."""
    volume, inside = case.bundle.folder / "data/volume", case.root / covered[1:]
    volume.parent.mkdir()
    if inside.is_dir():
        shutil.copytree(inside, volume, symlinks=True)
    else:
        shutil.copy(inside, volume)
    return volume


@pytest.mark.parametrize("mode", ["rw", "ro"])
@pytest.mark.parametrize("covered", ["/etc", "/etc/ld.so.cache", "/usr", "/etc/ld.so.conf.d"])
def test_a_volume_over_what_is_written(stage: Stage, case: Case, covered: str, mode: str) -> None:
    volume = volume_of(case, covered)
    (case.root / "usr/local/nvidia").mkdir(parents=True, exist_ok=True)
    if covered == "/usr":
        (volume / "local/nvidia").mkdir(parents=True, exist_ok=True)
    before = digest(volume.parent)
    done = stage.start(
        case.bundle,
        ["/bin/sh", "-c", LOOK],
        mounts=[(volume, covered)],
        options=("rbind", "rprivate", mode),
        cwd=case.bundle.folder.parent,
        relative=mode == "ro",
    )
    assert digest(volume.parent) == before
    assert (done.code, done.out[: len(FOUND)]) == (0, FOUND), done.err
    # The file that is mounted over the volume's is the container's to read only.
    assert done.out.endswith("refused\n") == (covered in {"/etc", "/etc/ld.so.cache"})


@pytest.mark.parametrize("mode", ["rw", "ro"])
@pytest.mark.parametrize("covered", ["/usr/local", "/usr/local/nvidia", "/usr"])
def test_a_volume_over_the_driver(stage: Stage, case: Case, covered: str, mode: str) -> None:
    """Empty, so that a runtime would make folders in it: refused by name. Ours on the very place replaces it."""
    volume = case.bundle.folder / "data"
    volume.mkdir()
    before = digest(case.bundle.folder / "data")
    done = stage.start(case.bundle, ["/probe", CUDA], mounts=[(volume, covered)], options=("rbind", "rprivate", mode))
    assert digest(case.bundle.folder / "data") == before
    if covered == "/usr/local/nvidia":
        assert (done.code, done.out[: len(FOUND)]) == (0, FOUND), done.err
    else:
        assert done.code != 0
        assert f"the volume on {covered} covers it" in done.err


@pytest.mark.parametrize("kind", ["nothing", "folder", "dangling", "to the host", "fifo", "tmpfs"])
def test_a_volume_with_something_else_there_is_refused_by_name(stage: Stage, case: Case, kind: str) -> None:
    if kind == "tmpfs":
        whole = config(["/bin/true"], [ONE])
        whole["mounts"].append({"destination": "/etc", "type": "tmpfs", "source": "tmpfs"})
        case.bundle.file.write_text(json.dumps(whole))
        done = stage.start(case.bundle, write=False)
    else:
        volume = volume_of(case, "/etc")
        place = volume / "ld.so.cache"
        place.unlink()
        if kind == "folder":
            place.mkdir()
        elif kind == "fifo":
            os.mkfifo(place)
        elif kind != "nothing":
            place.symlink_to("/nowhere" if kind == "dangling" else case.host / "owned")
        before = digest(volume)
        done = stage.start(case.bundle, mounts=[(volume, "/etc")])
        assert digest(volume) == before
    assert done.code != 0
    assert "/etc/ld.so.cache" in done.err
    assert "the volume on /etc covers it" in done.err


@pytest.mark.parametrize("place", ["/etc/ld.so.cache", "/usr/local/nvidia"])
def test_a_link_in_one_volume_that_leads_into_another(stage: Stage, case: Case, place: str) -> None:
    """Inside the first volume it leads to something; in the container to nothing, and there a runtime would make it."""
    folder, leaf = os.path.split(place)
    first, second = case.bundle.folder / "first", case.bundle.folder / "second"
    shutil.copytree(case.root / folder[1:], first, symlinks=True) if folder == "/etc" else first.mkdir()
    second.mkdir()
    (first / "data").mkdir()
    if folder == "/etc":
        (first / leaf).rename(first / "data/there")
    else:
        (first / "data/there").mkdir()
    (first / leaf).symlink_to("/data/there")
    before = digest(first), digest(second)
    done = stage.start(case.bundle, mounts=[(first, folder), (second, "/data")])
    assert (digest(first), digest(second)) == before
    assert done.code != 0
    assert f"the volume on {folder} covers it" in done.err


@pytest.mark.parametrize("dangling", [True, False], ids=["there in the volume only", "there in the image too"])
def test_a_link_in_the_image_that_leads_into_a_volume(stage: Stage, case: Case, *, dangling: bool) -> None:
    """What is written below the volume is seen by nobody: refused, or the driver is found."""
    volume, inside = case.bundle.folder / "volume", case.root / "data"
    volume.mkdir()
    inside.mkdir()
    cache = case.root / "etc/ld.so.cache"
    shutil.copy(cache, volume / "cache")
    if not dangling:
        shutil.copy(cache, inside / "cache")
    cache.unlink()
    cache.symlink_to("/data/cache")
    before = digest(volume)
    done = stage.start(case.bundle, ["/probe", CUDA], mounts=[(volume, "/data")])
    assert digest(volume) == before
    if done.code == 0:
        assert done.out.startswith(FOUND)
    else:
        assert "the volume on /data covers it" in done.err


# --- volumes, by engines ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gpudock(session_root: Path) -> Iterator[Product]:
    with product(session_root) as made:
        yield made


@pytest.fixture(scope="module")
def docker20_with(gpudock: Product, session_root: Path) -> Iterator[Configured]:
    with runtimes.docker(20, gpudock, session_root / "docker20-attacks") as made:
        yield made


@pytest.fixture(scope="module")
def docker28_with(gpudock: Product, session_root: Path) -> Iterator[Configured]:
    with runtimes.docker(28, gpudock, session_root / "docker28-attacks") as made:
        yield made


@pytest.fixture(scope="module")
def podman_with(gpudock: Product, podman: Engine) -> Configured:
    return runtimes.podman(gpudock, podman)


@pytest.fixture(params=("docker20", "docker28", "podman"))
def configured(request: pytest.FixtureRequest) -> Configured:
    made: Configured = request.getfixturevalue(f"{request.param}_with")
    return made


def mounted(configured: Configured) -> list[str]:
    """Without what the engine itself mounts in its own folder, and unmounts later."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line for line in lines if str(configured.engine.folder) not in line]


def machines(folder: str) -> str:
    """Of the machine's own /etc every file; of /usr every folder, which changes with what is in it."""
    if folder == "/etc":
        return digest(Path(folder))
    found = [f"{path} {os.lstat(path).st_mtime_ns}" for path, _, _ in os.walk(folder)]
    return hashlib.sha256("\n".join(found).encode(errors="surrogateescape")).hexdigest()


@pytest.mark.parametrize(("covered", "mode"), [("/etc", "rw"), ("/etc", "ro"), ("/usr", "rw")])
def test_the_machines_own_folders_as_volumes(configured: Configured, covered: str, mode: str) -> None:
    """docker run -v /etc:/etc, -v /usr:/usr: the C library is the same inside and outside, so the image still works."""
    before = machines(covered), mounted(configured)
    done = configured.run("-e", ONE, "-v", f"{covered}:{covered}:{mode}", "--", "/probe", CUDA, check=False)
    assert (machines(covered), mounted(configured)) == before
    if covered == "/usr":
        assert not os.path.exists("/usr/local/nvidia"), "else the driver would be mounted on it"
        assert done.returncode != 0
        assert "/usr/local/nvidia cannot be written in this container. (the volume on /usr covers it" in done.stderr
    else:
        assert done.stdout.startswith(FOUND), done.stderr


@pytest.mark.parametrize(
    ("covered", "mode"),
    [
        ("/usr/local", "rw"),
        ("/usr/local", "ro"),
        ("/usr/local/nvidia", "rw"),
        ("/etc/ld.so.cache", "rw"),
        ("/etc/ld.so.cache", "ro"),
    ],
)
def test_folders_and_files_as_volumes(configured: Configured, tmp_path: Path, covered: str, mode: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    if covered == "/etc/ld.so.cache":
        source = data / "cache"
        shutil.copy("/etc/ld.so.cache", source)
    else:
        source = data
        (data / "somebody's").write_text("file")
    before = digest(data), mounted(configured)
    done = configured.run("-e", ONE, "-v", f"{source}:{covered}:{mode}", "--", "/probe", CUDA, check=False)
    assert (digest(data), mounted(configured)) == before
    if covered == "/usr/local":
        assert done.returncode != 0
        assert (
            "/usr/local/nvidia cannot be written in this container. (the volume on /usr/local covers it" in done.stderr
        )
    else:
        assert done.stdout.startswith(FOUND), done.stderr


@pytest.mark.parametrize("covered", ["/usr/local", "/etc"])
def test_an_engines_volume_and_its_tmpfs(configured: Configured, covered: str) -> None:
    """A named volume starts as a copy of what the image has there."""
    name = "gpudock-attacks"
    named = configured.run("-e", ONE, "-v", f"{name}:{covered}", "--", "/probe", CUDA, check=False)
    listing = configured.run("-v", f"{name}:/x", "--", "/bin/sh", "-c", "find /x -name '*gpudock*' -o -name nvidia*")
    configured.engine.run("volume", "rm", name)
    assert listing.stdout == ""
    memory = configured.run("-e", ONE, "--tmpfs", covered, "--", "/probe", CUDA, check=False)
    for done in (named, memory):
        if (covered == "/etc") == (done is named):  # a runtime may make folders in memory, but no file is there
            assert done.stdout.startswith(FOUND), done.stderr
        else:
            assert done.returncode != 0
            assert f"the volume on {covered} covers it" in done.stderr


# --- hostile images, by engines ---------------------------------------------------------------------------------------

LINKED = (
    *("/etc/ld.so.cache", "/etc/ld.so.conf.d", "/usr/bin/nvidia-smi", "/usr/local/nvidia", "/usr/local"),
    *("/etc/OpenCL", "/dev", "/proc", "/sys"),
)


def trapped(root: Path, marker: Path) -> None:
    """The image's own libraries and modules where a loader or an interpreter on the host could look for its own."""
    source = root.with_name("poison.c")
    source.write_text(POISON % marker)
    run(["cc", "-shared", "-fPIC", "-o", str(root / "poison.so"), str(source)])
    for name in ("json", "os", "_json", "sitecustomize", "entry", "runtime", "gpudock"):
        (root / f"{name}.py").write_text(PYTHON_POISON.format(str(marker)))
    compat = root / "usr/local/cuda/compat/libnvidia-ml.so.6"  # of CVE-2024-0132
    compat.mkdir(parents=True)
    (compat / "libnvidia-ml.so.7").symlink_to("../" * 8 + "..")


# Both Dockers hand a link over alike.
@pytest.mark.parametrize(
    ("configured", "place"),
    [
        ("docker20", "traps"),
        *((engine, place) for engine in ("docker28", "podman") for place in ("traps", *LINKED)),
    ],
    indirect=["configured"],
)
def test_hostile_images_by_engines(configured: Configured, tmp_path: Path, place: str) -> None:
    """T1 to T11, and the shapes of links, as an engine hands such an image over: refused, or harmless."""
    host, marker, root = tmp_path / "host", tmp_path / "marker", tmp_path / "image"
    host.mkdir()
    (host / "owned").write_text("the host's")
    images.unpack("tiny", root)
    if place == "traps":
        trapped(root, marker)
    else:
        target = root / place[1:]
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        target.unlink(missing_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(host / "owned" if place.endswith(("cache", "smi")) else host)
    rootfs.pack(root, tmp_path / "image.tar")
    reference = "localhost/gpudock-test/hostile"
    changes = (
        "ENV LD_PRELOAD=/proc/self/cwd/poison.so",
        "ENV PYTHONPATH=/proc/self/cwd",
        "ENV PYTHONHOME=/proc/self/cwd",
    )
    flags = [word for change in changes for word in ("--change", change)] if place == "traps" else []
    configured.engine.run("import", *flags, str(tmp_path / "image.tar"), reference)
    before = digest(host), mounted(configured)
    asks = ("-e", ALL, "-e", EVERYTHING)
    try:
        done = configured.engine.run(
            *("run", *configured.flags, "--rm", "--network", "none", *asks, reference),
            *("/bin/sh", "-c", f"cat {host}/owned; /probe {CUDA}"),
            check=False,
        )
    finally:
        configured.engine.run("rmi", reference)
    assert (digest(host), mounted(configured)) == before
    assert not marker.exists()
    assert "the host's" not in done.stdout
    assert "Traceback" not in done.stderr
    assert "unexpected" not in done.stderr
    if place == "traps":
        assert FOUND in done.stdout, done.stderr


# --- hostile input ----------------------------------------------------------------------------------------------------

NAMES = (
    *("a b", "a\nb", "a'b", 'a"b', "$(touch marker)", "`touch marker`", "-x", "--", "--help", "create", "*", "a\\b"),
    *("é", "\udcff", "a\tb", ";", "x" * 250, "@FOLDER@", "a=b", "%s", "{}", "\x1b[31m"),
)


@small
def test_bundles_with_hostile_names(stage: Stage, case: Case) -> None:
    """Absolute, and relative to the working folder: as under the bare runtime, with a GPU."""
    for name in NAMES:
        place = case.bundle.folder.parent / "bundles" / name
        place.parent.mkdir(exist_ok=True)
        case.bundle.folder.rename(place)
        moved = Bundle(place)
        bare = stage.bare(moved, ["/bin/ls", "/dev"], env=[])
        done = stage.start(moved, ["/bin/ls", "/dev"])
        assert done.code == bare.code, (name, done.err, bare.err)
        assert ("nvidia0" in done.out) == (bare.code == 0)
        relative = stage.start(moved, ["/bin/ls", "/dev"], before=(), cwd=place.parent, relative=True)
        assert (relative.code, relative.out) == (done.code, done.out), (name, relative.err)
        place.rename(case.bundle.folder)
    assert not list(case.bundle.folder.parent.rglob("marker"))


@small
def test_containers_with_hostile_names(stage: Stage, case: Case) -> None:
    """runc refuses most of them, in the same words."""
    for name in (*(each for each in NAMES if "\udcff" not in each), "x" * 5000, "../x", "", "a/b"):
        outcomes = []
        for program in (None, ("runc",)):
            case.bundle.name = name
            done = stage.start(case.bundle, ["/bin/echo", "started"], program=program, env=[] if program else [ONE])
            outcomes.append((done.code, done.out, re.sub(r'time="\S+"|/\S*/(?=runc)', "", done.err)))
        assert outcomes[0] == outcomes[1], name


@small
def test_hostile_command_lines(stage: Stage, case: Case) -> None:
    """No traceback, and nothing is run that stands in them."""
    marker = case.bundle.folder / "marker"
    trap = f"$(touch {marker})`touch {marker}`;touch {marker}"
    case.bundle.file.write_text(json.dumps(config(["/bin/true"], [ONE])))
    for argv in (
        ["--log", trap, "run", case.bundle.id],
        ["--log", f"{case.bundle.folder}/log\nfile", "run", "--bundle", trap, "x"],
        ["run", "--bundle"],
        ["run", "--preserve-fds", trap, "--bundle", str(case.bundle.folder), "x"],
        ["run", "--preserve-fds=99999999999999", "--bundle", str(case.bundle.folder), "x"],
        ["create", "--config", "/dev/null", "x"],
        ["run", "--bundle", "/proc/self/fd/0", "x"],
        ["run", "--bundle=", "x"],
        ["restore", "--bundle", "/nowhere", trap],
        ["--root"],
        ["--log"],
        [],
        ["", "run"],
        [trap],
    ):
        done = stage.call(*argv, cwd=case.bundle.folder)
        assert "Traceback" not in done.err, argv
        assert "unexpected" not in done.err, (argv, done.err)
        assert "syntax" not in done.err.lower(), (argv, done.err)
        assert not marker.exists(), argv


HOSTILE: list[Any] = [
    *(None, True, False, 0, -1, 1 << 80, 1.5, 1e308, "", " ", "\0", "\n", "\ud800", "all", "x" * 5000, "NVIDIA"),
    *([], {}, [[]], [None], [{}], [1], {"": None}, {"path": None}, {"args": 1}, {"type": "user"}, "../x", "=", ","),
    *({"destination": "\0"}, {"destination": "\ud800", "source": "\0", "type": "bind"}, "NVIDIA_VISIBLE_DEVICES=all"),
    [["env", 0, 1, 2]],
    "0" * 16,
]
REQUESTS: tuple[dict[str, Any], ...] = (
    {"env": [ALL, EVERYTHING, "NVIDIA_REQUIRE_CUDA=cuda>=11.0,driver>=450", "NVIDIA_IMEX_CHANNELS=0"]},
    {"env": ["NVIDIA_VISIBLE_DEVICES=0,1", "NVIDIA_DRIVER_CAPABILITIES=compute,utility", "CUDA_VERSION=12.0"]},
    {"annotations": {"gpudock.devices": "0", "gpudock.capabilities": "utility"}},
    {"annotations": {"cdi.k8s.io/x": "nvidia.com/gpu=0.compute.utility,vendor.com/nic=1"}},
    {"mounts": ["/var/run/nvidia-container-devices/0", "/var/run/nvidia-container-devices/cdi/nvidia.com/gpu/1"]},
)


def whole(number: int) -> dict[str, Any]:
    """A request of each kind; every second one in a bundle that was edited before."""
    given = REQUESTS[number % len(REQUESTS)]
    made = config(["/bin/true"], given.get("env", []))
    made["mounts"] += [
        {"destination": place, "type": "bind", "source": "/dev/null", "options": ["bind"]}
        for place in given.get("mounts", [])
    ]
    made["annotations"] |= given.get("annotations", {})
    made["hooks"] = {"prestart": [{"path": "/usr/bin/nvidia-container-runtime-hook", "args": ["x", "prestart"]}]}
    made["hooks"]["createContainer"] = [{"path": "/bin/true", "args": ["true"], "env": ["A=1"]}]
    made["process"]["user"]["additionalGids"] = [1, 2]
    made["linux"]["devices"] = [{"path": "/dev/nvidia0", "type": "c", "major": 1, "minor": 3}]
    if number % 3 == 0:
        mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        made["linux"] |= {"uidMappings": mapping, "gidMappings": mapping}
        made["linux"]["namespaces"].append({"type": "user"})
    return made


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every object or list in it, with each of its keys."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from places(value[key])


def mutated(chance: random.Random, value: dict[str, Any]) -> bytes:
    """In one to three places; or as text."""
    for _ in range(chance.randint(1, 3)):
        folder, key = chance.choice(list(places(value)))
        way = chance.random()
        if way < 0.7:
            folder[key] = copy.deepcopy(chance.choice(HOSTILE))
        elif way < 0.8:
            del folder[key]
        elif isinstance(folder, list):
            folder.insert(key, copy.deepcopy(folder[key]))
        else:
            folder[chance.choice(["env", "\ud800", "", "annotations", "gpudock.edited"])] = copy.deepcopy(
                chance.choice(HOSTILE)
            )
    data = json.dumps(value).encode()
    if chance.random() < 0.1:
        at = chance.randrange(len(data))
        data = (
            data[:at] + chance.choice([b"", b"\xff", b"[" * 3000, b'{"a":', b"\0", b"1e999", b"NaN"]) + data[at + 1 :]
        )
    return data


@pytest.mark.parametrize("count", [3_000, pytest.param(30_000, marks=pytest.mark.soak)])
def test_mutated_configurations(stage: Stage, case: Case, count: int) -> None:
    """Through everything that reads one: it is edited, or refused by an error of ours, soon."""
    found = current.plan(settings.read(str(stage.settings.resolve())))
    chance = random.Random(7)
    changed = settings.Settings(
        **{name: getattr(settings.DEFAULT, name) for name in settings.Settings.__slots__} | {"mounts": True}
    )
    failed: dict[str, bytes] = {}
    outcomes = {"edited": 0, "left alone": 0, "refused": 0}
    slowest = 0.0
    case.bundle.folder.joinpath(oci.RECORD.format("0" * 16)).write_text('{"made": [["env", 0, "A=1", null]]}')
    for number in range(count):
        data = mutated(chance, whole(number))
        begun = time.process_time()
        try:
            case.bundle.file.write_bytes(data)
            outcomes[edit_in_process(case.bundle, found, changed)] += 1
        except GpudockError:
            outcomes["refused"] += 1
        except Exception as error:  # noqa: BLE001  told below, each kind once
            last = traceback.extract_tb(error.__traceback__)[-1]
            failed.setdefault(f"{type(error).__name__} in {os.path.basename(last.filename)} {last.name}", data[:3000])
        slowest = max(slowest, time.process_time() - begun)
    assert not failed, "\n".join(sorted(failed))
    assert slowest < 1
    assert min(outcomes.values()) > count // 200, outcomes


def edit_in_process(bundle: Bundle, plan: Any, decided: settings.Settings) -> str:
    """As the runtime does it, but for the image."""
    read = oci.read(str(bundle.file))
    oci.restore(read, str(bundle.folder))
    wanted = asked.asked(read, decided)
    edited = Changes(read)
    if wanted.request.devices == VOID:
        injection.strip_nvidia_hook(edited)
        return "left alone"
    selected = select(plan, wanted.request)
    names = wanted.request.capabilities or capabilities.DEFAULT
    variant = plan["variants"].get(capabilities.label(names)) or plan["variants"]["all"]
    given = injection.given(plan, variant, selected, wanted)
    root = ContainerRoot(oci.rootfs(read, str(bundle.folder)), edited.items("mounts"), str(bundle.folder))
    try:
        runtime._check_folder(read, root)
        injection.container_root(read)
        for mount in given.mounts:
            root.obstacle(mount["container"])
        injection.inject(edited, given)
    finally:
        root.close()
    parsed = json.loads(encode.json(read))
    changes.undo(parsed, edited.made)
    return "edited"


def test_a_hundred_mutated_configurations_through_the_entry(stage: Stage, tmp_path: Path) -> None:
    """One line for the user, and no file left behind."""
    entry = stage.copy(tmp_path / "entry", RUNTIMES="/bin/true")
    chance = random.Random(11)
    texts = [mutated(chance, whole(number)) for number in range(100)]

    def attack(part: int) -> list[str]:
        bundle = Bundle(tmp_path / f"part-{part}")
        bundle.root.mkdir(parents=True)
        odd = []
        for text in texts[part::3]:
            bundle.file.write_bytes(text)
            done = stage.start(bundle, program=(str(entry),), write=False)
            bad = "Traceback" in done.err or "unexpected" in done.err or len(done.err) > 9000
            if bad or (done.code != 0 and done.err.count("\n") < 1) or list(bundle.folder.rglob("*.gpudock")):
                odd.append(done.err[-300:])
        return odd

    with ThreadPoolExecutor(3) as pool:
        odd = [each for part in pool.map(attack, range(3)) for each in part]
    assert not odd, "\n".join(sorted(set(odd)))


# --- other GPUs -------------------------------------------------------------------------------------------------------


@small
def test_other_gpus_are_refused_by_the_control_group(stage: Stage, case: Case) -> None:
    """CVE-2021-1056: the driver does not look at a node's permissions. Without a driver an open that gets through says

    that there is no such device.
    """
    look = (
        "for n in nvidia0 nvidiactl nvidia-uvm; do dd if=/dev/$n count=0; done; "
        "for n in 1 2 7 254; do mknod /tmp/other$n c 195 $n; dd if=/tmp/other$n count=0; done"
    )
    done = stage.start(case.bundle, ["/bin/sh", "-c", look])
    lines = done.err.splitlines()
    given, others = ([line for line in lines if place in line] for place in ("/dev/nvidia", "/tmp/other"))
    assert (len(given), len(others)) == (3, 4), lines
    assert all("No such device or address" in line for line in given), given
    assert all("Operation not permitted" in line for line in others), others
