"""Which device nodes the hook finds in a container that a runtime has made: only their devices have to be as planned."""

from pathlib import Path

import pytest

from real import hook_stage
from real.harness import images
from real.hook_stage import Outcome, Stage
from unit.recorded import fill

pytestmark = pytest.mark.real
UUIDS = {"0000:00:06.0": "GPU-0cc352ac-c7ba-d67c-df19-77e0366c92fa", "0000:00:07.0": "GPU-gone"}
MIG = {"gpu0/gi1/access": 12, "gpu0/gi2/access": 21}
OWN, GONE = "/dev/nvidia0", "/dev/nvidia1"
OWN_CAP, GONE_CAP = "/dev/nvidia-caps/nvidia-cap12", "/dev/nvidia-caps/nvidia-cap21"


@pytest.fixture(params=["runc", "crun"])
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def stage(session_root: Path) -> Stage:
    return hook_stage.build(session_root / "hook-devices")


def start(stage: Stage, runtime: str, folder: Path, nodes: list[str], *, bound: bool) -> Outcome:
    """A container with these nodes (made, or bound as for rootless engines); GPU 1 and instance 2 have gone."""
    first = next(iter(UUIDS))
    nvidia = "/proc/driver/nvidia"
    fill(
        folder,
        {
            f"{nvidia}/gpus/{first}/information": f"GPU UUID: {UUIDS[first]}\nDevice Minor: 0\n",
            f"{nvidia}/capabilities/gpu0/mig/gi1/access": "DeviceFileMinor: 12\n",
        },
    )
    images.unpack("busybox", folder / "bundle/rootfs")
    gpus = {bus: [str(minor), uuid] for minor, (bus, uuid) in enumerate(UUIDS.items())}
    plan_file = stage.write_plan("devices", proc=f"{folder}/proc", gpus=gpus, mig_minors=MIG)
    binds = [(Path("/dev/null"), path) for path in nodes] if bound else []
    linux = hook_stage.configuration([], [], [])["linux"]
    if not bound:
        linux["devices"] = [{"path": path, "type": "c", "major": 1, "minor": 3} for path in nodes]
    return stage.start(runtime, folder / "bundle", mounts=binds, plan_file=plan_file, dev=True, linux=linux)


@pytest.mark.parametrize("bound", [False, True])
def test_devices_of_others_may_go(stage: Stage, tmp_path: Path, runtime: str, *, bound: bool) -> None:
    done = start(stage, runtime, tmp_path, [OWN, OWN_CAP], bound=bound)
    assert done.code == 0, done.err
    assert (tmp_path / "bundle/rootfs/usr/bin/nvidia-smi").is_symlink(), "the hook has run"


@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize(
    ("gone", "phrase"),
    [(GONE, "the GPU at 0000:00:07.0 is gone"), (GONE_CAP, "the MIG instance of gpu0/gi2/access is gone")],
)
def test_its_own_device_may_not(
    stage: Stage, tmp_path: Path, runtime: str, gone: str, phrase: str, *, bound: bool
) -> None:
    done = start(stage, runtime, tmp_path, [OWN, OWN_CAP, gone], bound=bound)
    assert done.code != 0
    assert phrase in done.err
