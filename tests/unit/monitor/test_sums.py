"""What is added up over processes, containers, people and time."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from gpudock.facts.base import Missing
from gpudock.host.root import Root
from gpudock.monitor import gather, metrics_people, use
from gpudock.monitor.history import Remembered
from gpudock.monitor.recorder import Recorder
from gpudock.monitor.sample import Gpu, Owner, Power, Process, Sample, Utilization
from gpudock.monitor.shares import Share, Tally, shares
from gpudock.monitor.store import Store
from unit.monitor import demo

ALICE, BOB = Owner(name="alice", uid=1000), Owner(name="bob", uid=1001)
FIRST, SECOND = "a" * 64, "b" * 64


def process(pid: int, owner: Owner, load: int | Missing, container: str = "", **more: object) -> Process:
    fields: dict[str, object] = {"memory": 100, "utilization": Utilization(gpu=load), "owner": owner}
    return Process(pid=pid, gpu="GPU-0", container=container, **(fields | more))  # type: ignore[arg-type]


def sample(*processes: Process, at: float = 0.0, interval: float = 1.0) -> Sample:
    """One GPU that draws 400 W."""
    gpu = Gpu(
        index=0,
        uuid="GPU-0",
        bus_id="0000:03:00.0",
        minor=0,
        utilization=Utilization(gpu=60),
        power=Power(draw=400.0),
    )
    return Sample(time=demo.START + at, interval=interval, gpus=(gpu,), processes=processes)


def of(found: list[Share], user: str) -> Share:
    (share,) = [each for each in found if each.user == user]
    return share


def test_power_goes_to_those_on_a_gpu_by_what_they_use() -> None:
    found = shares(sample(process(1, ALICE, 30), process(2, BOB, 10)))
    assert (of(found, "alice").watts, of(found, "bob").watts) == pytest.approx((300.0, 100.0))
    assert (of(found, "alice").used, of(found, "bob").used) == (0.3, 0.1)
    idle = shares(sample(process(1, ALICE, 0), process(2, BOB, 0)))
    assert (of(idle, "alice").watts, of(idle, "bob").watts) == (200.0, 200.0)


def test_nobody_uses_more_than_the_whole_of_a_gpu() -> None:
    found = shares(sample(process(1, ALICE, 90), process(2, ALICE, 80), process(3, BOB, 25)))
    assert of(found, "alice").used == 1.0
    assert (of(found, "alice").watts, of(found, "bob").watts) == pytest.approx((320.0, 80.0))


def test_the_counters_hold_a_gpu_once_that_one_has_in_two_containers() -> None:
    tally = Tally()
    for second in (0, 1, 2):
        tally.add(sample(process(1, ALICE, 30, FIRST), process(2, ALICE, 10, SECOND), at=second))
    assert tally.held == {"alice": 2.0}
    assert tally.used() == {"alice": pytest.approx(0.8)}
    assert tally.joules() == {"alice": pytest.approx(800.0)}


def test_the_counters_of_more_than_so_many_people_are_one() -> None:
    """Each name is another series for ever."""
    tally = Tally()
    tally.held |= {f"user-{index:03}": 1.5 for index in range(metrics_people.MOST + 50)}
    made = {
        metric.family.name: metric.series for metric in metrics_people.metrics(demo.sample(), tally, processes=False)
    }
    series = made["gpudock_user_gpu_held_seconds_total"]
    assert len(series) == metrics_people.MOST + 1
    assert series[0] == ('{user="user-000"}', 1.5)
    assert series[-1] == ('{user="other"}', 75.0)


def test_energy_and_use_are_over_the_time_that_has_passed(tmp_path: Path) -> None:
    """Every two seconds, in one container after the other: alice had it for all of ten."""
    path = str(tmp_path / "history.db")
    recorder = Recorder(Store(path))
    for second in range(0, 12, 2):
        inside = FIRST if second <= 6 else SECOND
        recorder.listen(sample(process(1, ALICE, 30, inside), at=second, interval=2.0))
    recorder.close()
    recorder._thread.join()
    (alice,) = Remembered(path).usage("user", demo.START - 1, demo.START + 60).rows
    assert (alice.held, alice.used, alice.energy) == (10.0, 6.0, 4000.0)
    containers = Remembered(path).usage("container", demo.START - 1, demo.START + 60).rows
    assert {row.key: row.held for row in containers} == {FIRST: 6.0, SECOND: 4.0}


def test_two_accounts_of_one_name_are_two_people() -> None:
    """Of two directories, or of a container that claims a name: sums of one must not hide the other."""
    other = Owner(name="alice", uid=5000)
    found = gather.people([process(1, ALICE, 30), process(2, other, 10), process(3, ALICE, 5)])
    assert {(each.uid, each.processes, each.memory, each.utilization) for each in found} == {
        (1000, 2, 200, 35),
        (5000, 1, 100, 10),
    }


def test_a_display_holds_no_gpu_but_a_container_that_draws_does() -> None:
    idle = replace(sample().gpus[0], utilization=Utilization(gpu=0))  # type: ignore[index]
    for kind, container, held in (("G", "", False), ("G", FIRST, True), ("C", "", True), ("CG", "", True)):
        on_it = process(1, ALICE, 0, container, kind=kind)
        (gpu,) = gather.held([idle], [on_it], {"GPU-0": 90.0}, 100.0)
        assert gpu.idle == (10.0 if held else None), (kind, container)


def test_processors_in_use_are_those_between_two_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / f"fs/cgroup/docker/{FIRST}"
    folder.mkdir(parents=True)
    (tmp_path / "fs/cgroup/cgroup.controllers").write_text("cpu\n")
    uses, now = use.Uses(Root(str(tmp_path))), [100.0]
    monkeypatch.setattr("gpudock.monitor.use.time.monotonic", lambda: now[0])
    (folder / "cpu.stat").write_text("usage_usec 50000000\n")
    assert isinstance(uses.look({FIRST: (FIRST, {"": f"/docker/{FIRST}"})})[FIRST].cpu, Missing)
    now[0] += 4
    (folder / "cpu.stat").write_text("usage_usec 56000000\n")
    found = uses.look({FIRST: (FIRST, {"": f"/docker/{FIRST}"})})[FIRST]
    assert (found.cpu, found.cpu_seconds) == (1.5, 56.0)
    now[0] += 4
    (folder / "cpu.stat").write_text("usage_usec 1000000\n")  # another container of the same id
    assert uses.look({FIRST: (FIRST, {"": f"/docker/{FIRST}"})})[FIRST].cpu == 0.0


@pytest.mark.parametrize(("said", "limit"), [("4096", 4096), (str((1 << 63) - 4096), None)])
def test_version_1_has_a_limit_or_none(said: str, limit: int | None, tmp_path: Path) -> None:
    folder = tmp_path / f"fs/cgroup/memory/docker/{FIRST}"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text(f"{said}\n")
    (folder / "memory.usage_in_bytes").write_text("1000\n")
    found = use.Uses(Root(str(tmp_path))).look({FIRST: (FIRST, {"memory": f"/docker/{FIRST}"})})[FIRST]
    assert (found.memory, found.memory_limit) == (1000, limit)
