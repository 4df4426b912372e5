"""Many starts at once, a driver upgrade in the middle of them, and the refresh that the runtime asks for by itself."""

import json
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gpudock.errors import HostError
from gpudock.start import current, renew, settings
from real import runtime_stage
from real.harness import leftovers, processes
from real.hook_stage import Outcome
from real.runtime_stage import DRIVER, NEWER, ONE, Stage, outcome

pytestmark = pytest.mark.real
LOOK = "/usr/bin/nvidia-smi; /probe libcuda.so.1 libnvidia-ml.so.1 --nvml; ls /usr/local/nvidia/lib64"
VERSION = re.compile(r"\b(580\.159\.04|590\.10)\b")


@pytest.fixture(scope="session")
def stage(session_root: Path) -> Stage:
    return runtime_stage.build(session_root / "runtime-storm")


@pytest.fixture
def clean(stage: Stage) -> Iterator[Stage]:
    """Afterwards nothing is left: no mount, control group, process, container or temporary file."""
    mounts, groups = set(Path("/proc/self/mountinfo").read_text().splitlines()), control_groups()
    yield stage
    assert not set(Path("/proc/self/mountinfo").read_text().splitlines()) - mounts
    assert not control_groups() - groups
    assert not [process.command for process in processes.of_folder(stage.folder)]
    root = stage.folder / "state-runc"
    assert not root.exists() or not os.listdir(root)
    odd = [path for path in stage.folder.rglob("*") if re.search(r"\.gpudock(-|$)|\.tmp$", path.name)]
    assert not odd
    assert not list((stage.folder / "bundles").iterdir())


def control_groups() -> set[str]:
    """Of the containers of this session."""
    where = (f"{leftovers.CGROUP}/*", f"*/{leftovers.CGROUP}/*")
    return {str(path) for each in where for path in Path("/sys/fs/cgroup").glob(each) if path.is_dir()}


def one(stage: Stage, name: str, image: str, script: str) -> Outcome:
    """A container in a bundle of its own, which goes with it; what is in the bundle then is known."""
    bundle = stage.bundle(stage.folder / "bundles" / name, image, linked=True)
    try:
        done = stage.start(bundle, ["/bin/sh", "-c", script])
        made = {re.sub(r"-[0-9a-f]{16}\.json", "", each) for each in os.listdir(bundle.folder)}
        assert made <= {"config.json", "gpudock", "rootfs"}
        return done
    finally:
        shutil.rmtree(bundle.folder)


@pytest.mark.parametrize(
    ("starts", "at_once"), [(100, 16), pytest.param(1000, 32, marks=pytest.mark.soak)], ids=["few", "many"]
)
def test_a_storm_of_starts(clean: Stage, starts: int, at_once: int) -> None:
    def start(number: int) -> Outcome:
        return one(clean, f"storm-{number}", "small", "ls /dev; ls /usr/local/nvidia/lib64")

    with ThreadPoolExecutor(at_once) as pool:
        outcomes = list(pool.map(start, range(starts)))
    failed = {(done.code, done.err) for done in outcomes if done.code != 0 or done.err}
    assert not failed
    assert len({done.out for done in outcomes}) == 1
    assert f"libcuda.so.{DRIVER}" in outcomes[0].out
    assert "nvidia0" in outcomes[0].out


@pytest.mark.parametrize("starts", [100, pytest.param(500, marks=pytest.mark.soak)])
def test_a_driver_upgrade_in_the_middle_of_starts(clean: Stage, starts: int) -> None:
    """Every container sees exactly one version, and who is refused is told so."""
    over = threading.Event()
    gpudock = clean.gpudock

    def upgrade() -> int:
        turns = 0
        while not over.wait(0.3):
            turns += 1
            gpudock("simulate", "upgrade", str(gpudock.gpus), (DRIVER, NEWER)[turns % 2])
            gpudock.refresh()
        return turns

    def start(number: int) -> str:
        done = one(clean, f"upgrade-{number}", "tiny", LOOK)
        if done.code == 0:
            seen = set(VERSION.findall(done.out))
            assert len(seen) == 1, done.out
            assert done.out.count(seen.pop()) > 10, done.out
            assert "nvml.driver" in done.out
            return str(VERSION.findall(done.out)[0])
        assert "sudo gpudock refresh" in done.err, done.err
        assert done.out == ""
        return "refused"

    with ThreadPoolExecutor(4) as pool:
        upgrading = pool.submit(upgrade)
        try:
            outcomes = list(pool.map(start, range(starts)))
        finally:
            over.set()
        assert upgrading.result() >= 2
    counts = {each: outcomes.count(each) for each in set(outcomes)}
    print(counts)  # noqa: T201  kept in docs/evidence
    assert {DRIVER, NEWER} <= set(counts)
    assert counts.get("refused", 0) < starts * 3 // 4


# --- the refresh that the runtime asks for ----------------------------------------------------------------------------

CALLED = 'echo "$@" >>"${0%/*}/called"; env >"${0%/*}/called-env"; '


@pytest.fixture
def asking(clean: Stage) -> Iterator[Stage]:
    """The runtime refreshes by itself; the machine has driver DRIVER, and so has the plan."""
    text = clean.settings.read_text()
    driver_is(clean, DRIVER)
    try:
        current.plan(settings.read(str(clean.settings.resolve())))
    except HostError:
        clean.gpudock.refresh()
    runtime_stage.refresh_by(clean, CALLED + 'exec $GPUDOCK "$@" --simulated "$GPUS"')
    yield clean
    clean.settings.write_text(text)
    (clean.folder / "called").unlink(missing_ok=True)


def driver_is(stage: Stage, version: str) -> None:
    stage.gpudock("simulate", "upgrade", str(stage.gpudock.gpus), version)


def called(stage: Stage) -> list[str]:
    path = stage.folder / "called"
    return path.read_text().splitlines() if path.exists() else []


def test_a_stale_plan_is_made_anew(asking: Stage) -> None:
    assert set(VERSION.findall(one(asking, "before", "tiny", LOOK).out)) == {DRIVER}
    assert called(asking) == [], "only where it is needed"
    driver_is(asking, NEWER)
    done = one(asking, "after", "tiny", LOOK)
    assert (done.code, set(VERSION.findall(done.out))) == (0, {NEWER}), done.err
    assert called(asking) == ["refresh --quiet"]
    environment = dict(line.partition("=")[::2] for line in (asking.folder / "called-env").read_text().splitlines())
    named = json.loads(asking.settings.read_text())["environment"]
    fixed = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    assert {name: environment[name] for name in environment if name not in {"PWD", "SHLVL", "_"}} == named | fixed


def test_sixteen_at_once_with_a_stale_plan(asking: Stage) -> None:
    driver_is(asking, NEWER)
    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(lambda number: one(asking, f"stale-{number}", "tiny", LOOK), range(16)))
    assert [done.err for done in outcomes if done.code] == []
    assert {version for done in outcomes for version in VERSION.findall(done.out)} == {NEWER}
    assert 1 <= len(called(asking)) <= 16


def test_a_set_of_capabilities_that_was_not_prepared(asking: Stage) -> None:
    bundle = asking.bundle(asking.folder / "bundles/set", "tiny", linked=True)
    env = [ONE, "NVIDIA_DRIVER_CAPABILITIES=compute"]
    done = asking.start(bundle, ["/bin/sh", "-c", "ls /usr/local/nvidia/lib64"], env=env)
    shutil.rmtree(bundle.folder)
    assert (done.code, called(asking)) == (0, ["refresh --quiet --capabilities compute"]), done.err
    assert "libcuda.so" in done.out
    assert "libnvidia-ml.so" not in done.out


@pytest.mark.parametrize(
    "script",
    [
        'echo "no driver; is it loaded?" >&2; exit 4',
        "kill -9 $$",
        "exit 0",
        "head -c 20000 /dev/zero >&2; exit 3",
    ],
)
def test_a_refresh_that_fails_is_told(asking: Stage, script: str) -> None:
    runtime_stage.refresh_by(asking, CALLED + script)
    driver_is(asking, NEWER)
    done = one(asking, "failing", "small", "echo started")
    assert done.code == 4
    assert done.out == ""
    assert len(called(asking)) == 1
    assert f"driver {NEWER} is loaded, the plan is for {DRIVER}" in done.err
    assert "sudo gpudock refresh" in done.err
    assert done.err.count("\n") == 1
    assert len(done.err) < 4200
    assert "is it loaded?" in done.err or "loaded?" not in script


def test_a_refresh_that_says_more_than_is_read_does_not_hang(asking: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe holds 64 KiB."""
    monkeypatch.setattr(renew, "WAIT", 3.0)
    runtime_stage.refresh_by(asking, CALLED + "head -c 200000 /dev/zero | tr '\\0' x >&2; exit 3")
    driver_is(asking, NEWER)
    with pytest.raises(HostError, match="and refresh: xxx"):
        current.plan(settings.read(str(asking.settings.resolve())))


def test_a_refresh_that_hangs_is_ended(asking: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """With whatever it has started."""
    monkeypatch.setattr(renew, "WAIT", 0.5)
    runtime_stage.refresh_by(asking, CALLED + "sleep 98765 & sleep 98764")
    driver_is(asking, NEWER)
    begun = time.monotonic()
    with pytest.raises(HostError, match="it took longer than 0 seconds") as refused:
        current.plan(settings.read(str(asking.settings.resolve())))
    assert time.monotonic() - begun < 60
    assert "sudo gpudock refresh" in str(refused.value)
    time.sleep(0.1)
    names = ("sleep 98765", "sleep 98764")
    left = [process for process in processes.of_folder(Path("/")) if process.command in names]
    processes.end(left)
    assert not left


def test_a_root_of_a_user_namespace_does_not_refresh(asking: Stage) -> None:
    driver_is(asking, NEWER)
    bundle = asking.bundle(asking.folder / "bundles/namespace", "small", linked=True)
    bundle.file.write_text(json.dumps(runtime_stage.config(["/bin/true"], [ONE])))
    argv = ["unshare", "--user", "--map-root-user", str(asking.entry), "run", "--bundle", str(bundle.folder), "x"]
    done = outcome(argv)
    shutil.rmtree(bundle.folder)
    assert done.code == 4
    assert "sudo gpudock refresh" in done.err
    assert called(asking) == []
