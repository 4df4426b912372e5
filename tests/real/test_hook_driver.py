"""Which libcuda programs get, when the image has one too: NVIDIA's forward compatibility, leftovers, another driver's;
and what EGL is told of the GPUs.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from gpudock.plan.document import Gpu
from real import hook_stage
from real.harness import images
from real.harness.commands import run
from real.hook_stage import MOUNT_POINT, Stage
from unit.plan.plans import gpu
from unit.start.noted import SECTION, content

pytestmark = pytest.mark.real
CUDA = "libcuda.so.1"
COMPAT = "/usr/local/cuda/compat"
PROFILE = "/etc/nvidia/nvidia-application-profiles-rc.d/10-container.conf"
# A library, and its note as a linker script's section would bring it.
NOTE = """
const char answer[] = "%s";
__asm__(".pushsection %s,\\"a\\",@note\\n.long 1f-0f, 3f-2f, 1\\n0: .asciz \\"NVIDIA Corporation\\"\\n1: .p2align 2\\n"
        "2: .ascii %s\\n3: .p2align 2\\n.popsection");
"""


@pytest.fixture(params=["runc", "crun"])
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def stage(session_root: Path) -> Stage:
    made = hook_stage.build(session_root / "hook-driver")
    for name in (CUDA, "libnvidia-ptxjitcompiler.so.1"):
        build(made.tree / "lib64" / name, name)
    return made


@pytest.fixture(params=["tiny", "lib64"])
def bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    images.unpack(request.param, tmp_path / "rootfs")
    return tmp_path


def build(path: Path, soname: str, note: bytes | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    source = path.with_suffix(".c")
    text = json.dumps(json.dumps(note.decode()))[1:-1] if note else ""  # a string of C, and in it one of the assembler
    source.write_text(NOTE % (soname, SECTION, text) if note else f'const char answer[] = "{soname}";\n')
    run(["cc", "-shared", "-fPIC", f"-Wl,-soname,{soname}", "-o", str(path), str(source)])
    run(["strip", str(path)])
    source.unlink()


def pack(root: Path, version: str = "590.44.01") -> None:
    """As the package cuda-compat does it."""
    real = root / "usr/local/cuda-13.1/compat"
    (root / "usr/local").mkdir(parents=True, exist_ok=True)
    (root / "usr/local/cuda").symlink_to("cuda-13.1")
    for name, note in ((CUDA, content()), ("libnvidia-ptxjitcompiler.so.1", None), ("libnvidia-nvvm70.so.4", None)):
        whole = f"{name.partition('.so')[0]}.so.{version}"
        build(real / whole, name, note)
        (real / name).symlink_to(whole)


@pytest.fixture
def plan(stage: Stage) -> Callable[..., Path]:
    """A plan whose driver brings CUDA, for driver 570 unless told."""

    def make(driver: str = "570.86.15", capabilities: tuple[str, ...] = ("compute",), gpus: Sequence[Gpu] = ()) -> Path:
        whole = hook_stage.plan(stage.tree)
        (variant,) = whole["variants"].values()
        variant["capabilities"] = [*capabilities]
        variant["libraries"] += [
            {"flags": 0x0303, "soname": name, "path": f"{MOUNT_POINT}/lib64/{name}"}
            for name in (CUDA, "libnvidia-ptxjitcompiler.so.1")
        ]
        path = stage.write_plan("driver", driver=driver, variants=whole["variants"])
        path.write_text(json.dumps(json.loads(path.read_text()) | {"gpus": gpus}))
        return path

    return make


def found(out: str) -> dict[str, str]:
    """Name -> where the loader found it."""
    rows = [line.split() for line in out.splitlines()]
    return {row[0]: row[2] if row[1] == "ok" else "" for row in rows}


@pytest.mark.parametrize("driver", ["570.86.15", "595.10"])
def test_forward_compatibility(
    stage: Stage, bundle: Path, runtime: str, plan: Callable[..., Path], driver: str
) -> None:
    """Also after an ldconfig in the container, which reads the real SONAMEs: it must come to the same."""
    pack(bundle / "rootfs")
    names = f"{CUDA} libnvidia-ptxjitcompiler.so.1 libnvidia-nvvm70.so.4"
    folder = COMPAT if driver < "590" else f"{MOUNT_POINT}/lib64"
    for look in (f"/probe {names}", f"/sbin/ldconfig && /probe {names}"):
        done = stage.start(runtime, bundle, ["/bin/sh", "-c", look], plan_file=plan(driver))
        assert done.code == 0, done.err
        assert found(done.out) == {
            CUDA: f"{folder}/{CUDA}",
            "libnvidia-ptxjitcompiler.so.1": f"{folder}/libnvidia-ptxjitcompiler.so.1",
            "libnvidia-nvvm70.so.4": f"{COMPAT}/libnvidia-nvvm70.so.4" if folder == COMPAT else "",
        }


def test_a_driver_upgrade_ends_it(stage: Stage, bundle: Path, runtime: str, plan: Callable[..., Path]) -> None:
    pack(bundle / "rootfs")
    for driver, folder in (("570.86.15", COMPAT), ("595.10", f"{MOUNT_POINT}/lib64"), ("580.1", COMPAT)):
        done = stage.start(runtime, bundle, ["/probe", CUDA], plan_file=plan(driver))
        assert found(done.out) == {CUDA: f"{folder}/{CUDA}"}, done.err


def test_an_empty_libcuda_in_every_usual_folder(
    stage: Stage, bundle: Path, runtime: str, plan: Callable[..., Path]
) -> None:
    """What other toolkits leave in images that are committed: "file too short" without a GPU."""
    root = bundle / "rootfs"
    for folder in ("usr/lib", "usr/lib64", "usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"):
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / CUDA).touch()
    for look in (f"/probe {CUDA}", f"/sbin/ldconfig && /probe {CUDA}"):
        done = stage.start(runtime, bundle, ["/bin/sh", "-c", look], plan_file=plan())
        assert found(done.out) == {CUDA: f"{MOUNT_POINT}/lib64/{CUDA}"}, done.err
        if runtime == "crun":  # runc shows what a hook says only when it fails
            assert "this image has a libcuda of its own, /usr/lib" in done.err


def test_another_driver_baked_into_the_image(
    stage: Stage, bundle: Path, runtime: str, plan: Callable[..., Path]
) -> None:
    root = bundle / "rootfs"
    folder = "usr/lib/x86_64-linux-gnu" if (root / "etc/ld.so.conf.d/debian.conf").exists() else "usr/lib64"
    build(root / folder / "libcuda.so.470.1", CUDA)
    (root / folder / CUDA).symlink_to("libcuda.so.470.1")
    run(["ldconfig", "-r", str(root)])
    for look in (f"/probe {CUDA}", f"/sbin/ldconfig && /probe {CUDA}"):
        done = stage.start(runtime, bundle, ["/bin/sh", "-c", look], plan_file=plan())
        assert found(done.out) == {CUDA: f"{MOUNT_POINT}/lib64/{CUDA}"}, done.err
        if runtime == "crun":
            expected = f"this image has a libcuda of its own, /{folder}/{CUDA}: programs get {MOUNT_POINT}/lib64/{CUDA}"
            assert expected in done.err


@pytest.mark.parametrize("capability", ["graphics", "compute"])
def test_which_gpus_egl_may_open(
    stage: Stage, bundle: Path, runtime: str, plan: Callable[..., Path], capability: str
) -> None:
    """Those whose nodes the engine has made in the container."""
    gpus = [gpu(index, uuid=f"GPU-{index}") for index in range(4)]
    linux = hook_stage.configuration([], [], [])["linux"]
    linux["devices"] = [{"path": f"/dev/nvidia{minor}", "type": "c", "major": 1, "minor": 3} for minor in (1, 3)]
    done = stage.start(
        *(runtime, bundle, ["/bin/sh", "-c", f"ls -ln {PROFILE}; cat {PROFILE}"]),
        plan_file=plan(capabilities=(capability,), gpus=gpus),
        dev=True,
        linux=linux,
    )
    assert ('"EGLVisibleDGPUDevices",0xa]' in done.out) == (capability == "graphics"), done.err
    assert done.out.startswith("-r--r--r--    1 0        0 ") == (capability == "graphics")


@pytest.mark.parametrize("trap", ["folder to the host", "library to the host", "fifo", "device", "endless", "crowd"])
def test_forward_compatibility_as_a_trap(
    stage: Stage, bundle: Path, runtime: str, plan: Callable[..., Path], trap: str
) -> None:
    """The container starts with the driver's own; the host's file, newer and fitting, is not looked at."""
    host = bundle / "host"
    build(host / "libcuda.so.590.44.01", CUDA, content())
    shutil.copy(host / "libcuda.so.590.44.01", host / CUDA)
    before = hook_stage.digest(host)
    folder = bundle / "rootfs/usr/local/cuda/compat"
    library = folder / "libcuda.so.590.44.01"
    folder.parent.mkdir(parents=True)
    if trap == "folder to the host":
        folder.symlink_to(host)
    else:
        folder.mkdir()
        if trap == "library to the host":
            library.symlink_to("../" * 30 + str(host / library.name)[1:])
        elif trap == "fifo":
            run(["mkfifo", str(library)])
        elif trap == "device":
            run(["mknod", str(library), "c", "1", "5"])
        elif trap == "endless":
            with library.open("wb") as file:
                file.truncate(1 << 40)
        else:
            for number in range(2000):
                (folder / f"lib{number}.so.1").touch()
        (folder / CUDA).symlink_to(library.name)
    done = stage.start(runtime, bundle, ["/probe", CUDA], plan_file=plan())
    assert found(done.out) == {CUDA: f"{MOUNT_POINT}/lib64/{CUDA}"}, done.err
    assert hook_stage.digest(host) == before
