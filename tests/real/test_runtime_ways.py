"""Further ways to start containers with the runtime: as default, in builds, with remapped users, after an upgrade."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from real.harness import images, runtimes, subordinate
from real.harness.engines import Engine
from real.harness.product import SPEC, Product, product
from real.harness.runtimes import Configured

pytestmark = pytest.mark.real

DRIVER, NEWER = "580.159.04", "590.10"
LOADED = re.compile(r"^(\S+) ok ", re.MULTILINE)


@pytest.fixture(scope="module")
def gpudock(session_root: Path) -> Iterator[Product]:
    with product(session_root) as made:
        yield made


@pytest.fixture(autouse=True)
def fresh(gpudock: Product) -> Product:
    """Every test starts from two H200 of the same driver."""
    gpudock.simulate()
    gpudock.refresh()
    return gpudock


@pytest.fixture(scope="module")
def by_default(gpudock: Product, session_root: Path) -> Iterator[Configured]:
    """Docker 20.10 with the runtime for every container."""
    with runtimes.docker(20, gpudock, session_root / "docker20-default", **{"default-runtime": "gpudock"}) as made:
        yield Configured(made.engine, ())


@pytest.fixture(params=("docker20", "podman"))
def configured(request: pytest.FixtureRequest, gpudock: Product, podman: Engine) -> Configured:
    if request.param == "podman":
        return runtimes.podman(gpudock, podman)
    made: Configured = request.getfixturevalue("by_default")
    return made


def driver_files(listing: str) -> set[str]:
    return set(re.findall(r"\.so\.(\d{3}\.[\d.]+)", listing))


def test_the_product_uses_the_runtime_where_there_is_no_cdi(fresh: Product, by_default: Configured) -> None:
    reference = images.load(by_default.engine, "tiny")
    done = fresh.run(by_default.engine, "--gpus", "1", reference, "/bin/sh", "-c", "nvidia-smi -L; ls /dev")
    assert done.stdout.count("GPU-") == 1
    assert "nvidia1" not in done.stdout


def test_beside_somebody_elses_specification(fresh: Product, configured: Configured) -> None:
    """That one stays as it is, for engines; the runtime has a plan of its own."""
    theirs = SPEC.with_name("nvidia.yaml")
    edits = {"deviceNodes": [{"path": "/dev/null"}]}
    text = json.dumps(
        {"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [{"name": "0", "containerEdits": edits}]}
    )
    theirs.write_text(text)
    try:
        said = fresh.refresh()
        assert f"{theirs} already defines these devices" in said.stderr
        assert (SPEC.exists(), theirs.read_text()) == (False, text)
        done = configured.run("-e", "NVIDIA_VISIBLE_DEVICES=1")
        assert "nvidia1" in done.stdout
        assert "nvidia0" not in done.stdout
        assert "libcuda.so.1 ok" in done.stdout
    finally:
        theirs.unlink()
    fresh.refresh()
    assert SPEC.exists()


def test_mig_devices(fresh: Product, configured: Configured) -> None:
    fresh.simulate("--gpus", "1", "--mig", "3g.71gb,1g.18gb")
    fresh.refresh()
    done = configured.run(
        "-e", "NVIDIA_VISIBLE_DEVICES=0:1", "--", "/bin/sh", "-c", "ls /dev/nvidia-caps; nvidia-smi -L"
    )
    assert done.stdout.count("MIG-") == 1
    assert len(re.findall(r"^nvidia-cap\d+$", done.stdout, re.MULTILINE)) == 2
    refused = configured.run("-e", "NVIDIA_VISIBLE_DEVICES=0", check=False)
    assert refused.returncode != 0
    assert "cannot be had whole" in refused.stderr
    assert "0:0" in refused.stderr


def test_stop_upgrade_start_sees_one_version(fresh: Product, configured: Configured) -> None:
    engine, name = configured.engine, "gpudock-upgraded"
    look = "find / -xdev -name 'lib*nvidia*' -o -xdev -name 'libcuda*'; ls /usr/local/nvidia/lib64; nvidia-smi"
    flags = (*configured.flags, "--name", name, "--network", "none", "-e", "NVIDIA_VISIBLE_DEVICES=all")
    engine.run("create", *flags, images.load(engine, "tiny"), "/bin/sh", "-c", look)
    try:
        assert driver_files(engine.run("start", "--attach", name).stdout) == {DRIVER}
        fresh("simulate", "upgrade", str(fresh.gpus), NEWER)
        stale = engine.run("start", "--attach", name, check=False)
        assert stale.returncode != 0
        assert "sudo gpudock refresh" in stale.stdout + stale.stderr
        fresh.refresh()
        assert driver_files(engine.run("start", "--attach", name).stdout) == {NEWER}
    finally:
        engine.run("rm", "--force", name)


def test_a_build_with_the_default_runtime_leaves_no_driver_in_the_image(by_default: Configured, tmp_path: Path) -> None:
    """RUN steps of a CUDA image get GPUs by its own variable; what they leave behind must do no harm without one."""
    reference = images.load(by_default.engine, "tiny", env={"NVIDIA_VISIBLE_DEVICES": "all"})
    (tmp_path / "Dockerfile").write_text(
        f"FROM {reference}\nRUN /probe libcuda.so.1 > /built && ls /dev >> /built\nENV NVIDIA_VISIBLE_DEVICES=void\n"
    )
    env = by_default.engine.env | {"DOCKER_BUILDKIT": "0"}
    build = [*by_default.engine.argv, "build", "--network", "none", "-t", "localhost/built", str(tmp_path)]
    done = subprocess.run(build, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    script = "cat /built; find / -xdev -size 0 -type f -name '*nvidia*'; /probe libcuda.so.1; ls /usr/local/nvidia; ls /lib/firmware/nvidia"
    seen = by_default.engine.run(
        "run", "--rm", "--network", "none", "localhost/built", "/bin/sh", "-c", script, check=False
    )
    assert "nvidia0" in seen.stdout  # of the build
    assert len(LOADED.findall(seen.stdout)) == 1  # only that of the build
    assert not re.findall(r"\.so|bin$|^/.*nvidia", seen.stdout.partition("nvidia1")[2].partition("libcuda")[0])
    again = by_default.run("-e", "NVIDIA_VISIBLE_DEVICES=0", "--", "/probe", "libcuda.so.1")
    assert LOADED.findall(again.stdout) == ["libcuda.so.1"]


@pytest.fixture(scope="module")
def remapped(gpudock: Product, session_root: Path) -> Iterator[Configured]:
    """Docker 20.10 whose containers' users are others of the host."""
    mode = session_root.stat().st_mode
    session_root.chmod(0o755)  # their root must get to its own files
    try:
        with (
            subordinate.ids(),
            runtimes.docker(
                20, gpudock, session_root / "docker20-remapped", **{"userns-remap": subordinate.USER}
            ) as made,
        ):
            yield made
    finally:
        session_root.chmod(mode)


def test_remapped_users_get_the_gpu_and_nothing_of_the_hosts_root(remapped: Configured, tmp_path: Path) -> None:
    secret = tmp_path / "root"
    secret.mkdir(mode=0o700)
    (secret / "secret").write_text("secret")
    script = f"{runtimes.LOOK}; ls /x; stat -c '%u:%g %n' /etc/ld.so.cache /etc/ld.so.conf.d/00-gpudock.conf /usr/bin/nvidia-smi"
    done = remapped.run(
        "-e", "NVIDIA_VISIBLE_DEVICES=0", "-v", f"{secret}:/x", "--", "/bin/sh", "-c", script, check=False
    )
    assert LOADED.findall(done.stdout) == ["libcuda.so.1", "libnvidia-ml.so.1"]
    assert "nvidia0" in done.stdout
    assert "secret" not in done.stdout
    assert "ermission denied" in done.stderr
    assert re.findall(r"^(\d+:\d+) /", done.stdout, re.MULTILINE) == ["0:0"] * 3
