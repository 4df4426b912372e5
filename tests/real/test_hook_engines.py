"""The hook under podman and docker: images and volumes that led other toolkits astray, with a folder and a marker of the
host that must stay as they are.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from real.harness import images, mounts, rootfs
from real.harness.commands import run
from real.harness.engines import Engine
from real.harness.product import Product, product
from real.hook_stage import digest
from real.test_hook_attacks import POISON, PYTHON_POISON
from unit.start.noted import content, library

pytestmark = pytest.mark.real
CUDA, ML = "libcuda.so.1", "libnvidia-ml.so.1"
LOADED = re.compile(r"^(\S+) ok /usr/local/nvidia/", re.MULTILINE)


@pytest.fixture(scope="module")
def gpudock(session_root: Path) -> Iterator[Product]:
    with product(session_root) as made:
        yield made


@dataclass(frozen=True)
class Attack:
    """`root`: of the image; `host`: a folder that no container is given; `marker`: made by what runs as host's root."""

    root: Path
    host: Path
    marker: Path


@pytest.fixture
def attack(tmp_path: Path) -> Iterator[Attack]:
    made = Attack(tmp_path / "root", tmp_path / "host", tmp_path / "marker")
    images.unpack("tiny", made.root)
    made.host.mkdir()
    (made.host / "owned").write_text("the host's")
    before = digest(made.host)
    yield made
    assert digest(made.host) == before
    assert not made.marker.exists()
    assert mounts.below(tmp_path) == []


def start(
    gpudock: Product, engine: Engine, attack: Attack, env: dict[str, str], command: tuple[str, ...]
) -> CompletedProcess[str]:
    """A container of the attack's image, with a GPU."""
    tar = attack.root.parent / "image.tar"
    rootfs.pack(attack.root, tar)
    changes = [part for name, value in env.items() for part in ("--change", f'ENV {name}="{value}"')]
    reference = "localhost/gpudock-test/attack"
    engine.run("import", *changes, str(tar), reference)
    try:
        return gpudock.run(engine, "--gpus", "1", reference, *command, check=False)
    finally:
        engine.run("rmi", "--force", reference)


def _loader(attack: Attack) -> dict[str, str]:
    source = attack.root.parent / "poison.c"
    source.write_text(POISON % attack.marker)
    run(["cc", "-shared", "-fPIC", "-o", str(attack.root / "poison.so"), str(source)])
    shutil.copy(attack.root / "poison.so", attack.root / "libm.so.6")
    file = "/proc/self/cwd/poison.so"
    return {"LD_PRELOAD": file, "LD_AUDIT": file, "LD_LIBRARY_PATH": "/proc/self/cwd", "GCONV_PATH": "/proc/self/cwd"}


def _python(attack: Attack) -> dict[str, str]:
    for name in ("json", "os", "ctypes", "sitecustomize", "usercustomize", "gpudock", "encodings"):
        for folder in ("", "py"):
            place = attack.root / folder / f"{name}.py"
            place.parent.mkdir(exist_ok=True)
            place.write_text(PYTHON_POISON.format(str(attack.marker)))
    return {"PYTHONPATH": "/proc/self/cwd/py", "PYTHONHOME": "/proc/self/cwd", "PATH": ".:/bin"}


def _programs(attack: Attack) -> dict[str, str]:
    for place in ("sbin/ldconfig", "sbin/ldconfig.real", "usr/bin/python3", "usr/bin/env", "python3"):
        path = attack.root / place
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/busybox sh\n/bin/busybox touch /ran {attack.marker}\n")
        path.chmod(0o755)
    return {}


def _libraries(attack: Attack) -> dict[str, str]:
    """The layout of CVE-2024-0132."""
    compat, folder = attack.root / "usr/local/cuda/compat", attack.root / "usr/lib/x86_64-linux-gnu"
    (compat / "libnvidia-ml.so.6").mkdir(parents=True)
    (compat / "libnvidia-ml.so.7").touch()
    (compat / "libnvidia-ml.so.6/libnvidia-ml.so.7").symlink_to("../" * 8 + "..")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "libnvidia-ml.so.6").symlink_to("../../../usr/local/cuda/compat")
    return {}


def _compat(attack: Attack) -> dict[str, str]:
    """The newer libcuda is the host's; it would be used."""
    (attack.root / "usr/local/cuda").mkdir(parents=True)
    (attack.root / "usr/local/cuda/compat").symlink_to("../" * 20 + str(attack.host)[1:])
    return {}


def _link(place: str) -> Callable[[Attack], dict[str, str]]:
    def lay(attack: Attack) -> dict[str, str]:
        path = attack.root / place
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(attack.host / "owned" if path.name in {"ld.so.cache", "nvidia-smi"} else attack.host)
        return {}

    return lay


HARMLESS: dict[str, Callable[[Attack], dict[str, str]]] = {
    "the loader's variables": _loader,
    "python's variables": _python,
    "programs": _programs,
    "libraries": _libraries,
    "forward compatibility": _compat,
    "/usr/bin/nvidia-smi": _link("usr/bin/nvidia-smi"),
}
REFUSED = {f"/{place}": _link(place) for place in ("etc/ld.so.cache", "etc/ld.so.conf.d", "etc/OpenCL")}


@pytest.mark.parametrize("trap", HARMLESS)
def test_traps_that_change_nothing(gpudock: Product, cdi_engine: Engine, attack: Attack, trap: str) -> None:
    env = HARMLESS[trap](attack)
    look = ("/bin/busybox", "env", "-i", "/probe", CUDA, ML)  # the container's own processes are no matter of ours
    done = start(gpudock, cdi_engine, attack, env, look)
    assert LOADED.findall(done.stdout) == [CUDA, ML], done.stderr


@pytest.mark.parametrize("trap", REFUSED)
def test_traps_that_are_refused(gpudock: Product, cdi_engine: Engine, attack: Attack, trap: str) -> None:
    REFUSED[trap](attack)
    done = start(gpudock, cdi_engine, attack, {}, ("/bin/busybox", "echo", "started"))
    assert done.returncode != 0
    assert "started" not in done.stdout
    assert f"{trap} is a dangling link" in done.stderr


@pytest.mark.parametrize("name", ["proc", "sys"])
def test_links_in_place_of_the_kernels_folders(gpudock: Product, cdi_engine: Engine, attack: Attack, name: str) -> None:
    (attack.root / name).rmdir()
    (attack.root / name).symlink_to(attack.host)
    done = start(gpudock, cdi_engine, attack, {}, ("/bin/busybox", "echo", "started"))
    # Docker puts folders in place of them before anything else.
    assert (done.returncode == 0, "started" in done.stdout) == (
        (True, True) if "docker" in cdi_engine.name else (False, False)
    )


def test_forward_compatibility_of_an_image(gpudock: Product, cdi_engine: Engine, attack: Attack) -> None:
    """The simulated driver is 580: a libcuda 590 that says it runs on that is what programs get."""
    folder = attack.root / "usr/local/cuda/compat"
    folder.mkdir(parents=True)
    (folder / "libcuda.so.590.44.01").write_bytes(library(content()))
    (folder / CUDA).symlink_to("libcuda.so.590.44.01")
    done = start(gpudock, cdi_engine, attack, {}, ("/sbin/ldconfig", "-p"))
    assert re.search(r"libcuda\.so\.1 .* => /usr/local/cuda/compat/libcuda\.so\.1\n", done.stdout), done.stderr


@pytest.mark.parametrize("covered", ["/etc", "/etc/ld.so.cache"])
def test_a_volume_over_the_cache(gpudock: Product, cdi_engine: Engine, attack: Attack, covered: str) -> None:
    volume, inside = attack.host.parent / "volume", attack.root / covered[1:]
    shutil.copytree(inside, volume) if inside.is_dir() else shutil.copy(inside, volume)
    cache = volume / "ld.so.cache" if volume.is_dir() else volume
    before = cache.read_bytes()
    reference = images.load(cdi_engine, "tiny")
    done = gpudock.run(
        cdi_engine, "--gpus", "all", "-v", f"{volume}:{covered}", reference, "/probe", CUDA, ML, check=False
    )
    assert LOADED.findall(done.stdout) == [CUDA, ML], done.stderr
    assert cache.read_bytes() == before
    if volume.is_dir():  # engines make empty files where they mount their own
        assert {name for name in os.listdir(volume) if not name.startswith(("host", "resolv", "mtab"))} == set(
            os.listdir(inside)
        )


def test_a_named_volume_over_usr_keeps_its_own_files(gpudock: Product, cdi_engine: Engine) -> None:
    """Filled from the image by the engine at its first use; the hook adds nothing to it."""
    reference = images.load(cdi_engine, "tiny")
    cdi_engine.run("volume", "create", "usr")
    try:
        for _ in range(2):
            done = gpudock.run(
                cdi_engine,
                "--gpus",
                "all",
                "-v",
                "usr:/usr/share",
                reference,
                "/bin/sh",
                "-c",
                f"/probe {CUDA}; find /usr/share",
            )
            assert LOADED.findall(done.stdout) == [CUDA]
            assert "nvidia" not in done.stdout.partition("\n")[2]
    finally:
        cdi_engine.run("volume", "rm", "usr")


def test_devices_of_others_stay_closed(gpudock: Product, cdi_engine: Engine) -> None:
    """CVE-2021-1056: a container makes the node of a GPU that it was not given. Here no driver is behind a node: what
    may be opened says that there is no such device, all else is not permitted.
    """
    reference = images.load(cdi_engine, "tiny")
    script = "mknod /other c 195 1; mknod /all c 195 255; cat /dev/nvidia0; cat /other; cat /dev/nvidiactl; ls /dev"
    done = gpudock.run(
        *(cdi_engine, "--gpus", "device=0", "--cap-add", "MKNOD", reference, "/bin/sh", "-c", script), check=False
    )
    lines = done.stderr.splitlines()
    assert [line for line in lines if "/dev/nvidia0" in line and "No such device or address" in line], done.stderr
    assert [line for line in lines if "/dev/nvidiactl" in line and "No such device or address" in line], done.stderr
    assert [line for line in lines if "/other" in line and "Operation not permitted" in line], done.stderr
    assert set(re.findall(r"nvidia\d+", done.stdout)) == {"nvidia0"}


def test_starts_leave_no_mounts(gpudock: Product, cdi_engine: Engine, tmp_path: Path) -> None:
    """With a volume whose mounts the container shares with the host, twice."""
    (tmp_path / "shared").mkdir()
    run(["mount", "-t", "tmpfs", "none", str(tmp_path / "shared")])
    try:
        run(["mount", "--make-shared", str(tmp_path / "shared")])
        reference = images.load(cdi_engine, "tiny")
        given = ("-v", f"{tmp_path}/shared:/mnt:rshared")
        gpudock.run(cdi_engine, "--gpus", "all", *given, reference, "true")
        before = sorted(mounts.below(Path("/")))
        for _ in range(2):
            gpudock.run(cdi_engine, "--gpus", "all", *given, reference, "true")
        assert sorted(mounts.below(Path("/"))) == before
    finally:
        mounts.unmount_below(tmp_path / "shared")
