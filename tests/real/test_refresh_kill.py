"""Refresh is killed at any moment, a hundred times: engines never find anything half."""

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from gpudock.cdi import store
from gpudock.cdi.validate import problems
from gpudock.plan import reader
from gpudock.plan.document import Plan
from gpudock.refresh import cycle
from gpudock.refresh.current import plan_path
from gpudock.refresh.making import Settings
from unit.machines import LIB, VERSION, node
from unit.refresh.hosts import Host

pytestmark = pytest.mark.real

SETTINGS = Settings(ways=("copy",))
CHANNEL = (node("/dev/nvidia-caps-imex-channels/channel0", 238, 0),)


def child(host: Host, number: int) -> int:
    """A process that refreshes, each time for a driver that was changed, until it is killed."""
    pid = os.fork()
    if pid == 0:
        try:
            for turn in range(1_000_000):
                os.utime(f"{host.root.folder}{LIB}/libcuda.so.{VERSION}", ns=(0, number * 10**9 + turn))
                host.nodes = CHANNEL if turn % 2 else ()
                cycle.refresh(host.take, host.hook, host.paths, SETTINGS)
        finally:
            os._exit(1)
    return pid


def named_plan(host: Host) -> Plan:
    """The plan that the specification names, both read as an engine and a hook do."""
    document = store.load(host.paths.spec)
    assert problems(document) == []
    path = plan_path(document)
    assert path is not None
    return reader.check(json.loads(Path(path).read_bytes()))


def an_hour_passes(host: Host) -> None:
    """The plans that the specification no longer names have gone, so the next refresh takes their trees away."""
    named = plan_path(store.load(host.paths.spec))
    for path in Path(host.paths.plans).glob("*.json"):
        if str(path) != named:
            path.unlink()


def assert_whole(plan: Plan) -> None:
    for variant in plan["variants"].values():
        tree = Path(variant["folder"])
        for library in variant["libraries"]:
            assert (tree / library["path"].removeprefix("/usr/local/nvidia/")).stat().st_size > 0
        for link in variant["links"]:
            assert (tree / link["target"].removeprefix("/usr/local/nvidia/")).exists()


@pytest.mark.parametrize("kills", [30, pytest.param(2000, marks=pytest.mark.soak)])
def test_killed_at_any_moment(tmp_path: Path, kills: int) -> None:
    host = Host(tmp_path)
    chance = random.Random(4)
    began = time.monotonic()
    cycle.refresh(host.take, host.hook, host.paths, SETTINGS)
    longest = 4 * (time.monotonic() - began)  # of this machine, under its load of today; the disk is busier later
    seen, read_while_running = set(), 0
    for number in range(kills):
        pid = child(host, number)
        deadline = time.monotonic() + chance.uniform(0, longest)
        while time.monotonic() < deadline:
            named_plan(host)
            read_while_running += 1
        os.kill(pid, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL, "the child ended by itself"
        plan = named_plan(host)
        assert_whole(plan)
        seen.add(plan["variants"]["all"]["folder"])
        an_hour_passes(host)
    assert len(seen) > kills // 10  # some of them got as far as a new tree
    assert read_while_running > 100

    cycle.refresh(host.take, host.hook, host.paths, SETTINGS)
    an_hour_passes(host)
    outcome = cycle.refresh(host.take, host.hook, host.paths, SETTINGS)
    assert_whole(outcome.plan)
    folder = Path(outcome.plan["variants"]["all"]["folder"]).parent
    assert os.listdir(host.paths.trees) == [folder.name]
    assert sorted(os.listdir(folder)) == sorted(outcome.plan["variants"])
    for place in (host.paths.cdi, host.paths.plans, host.paths.run):
        assert not [name for name in os.listdir(place) if name.endswith(".tmp")]
