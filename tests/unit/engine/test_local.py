"""Whose specification is in charge on this machine, and whether it still fits."""

from pathlib import Path

import pytest

from gpudock.engine import local
from gpudock.engine.local import Foreign, Here
from gpudock.errors import HostError
from gpudock.refresh.current import StaleError
from gpudock.refresh.paths import Paths
from unit.engine import machine
from unit.engine.wishes import docker
from unit.recorded import fill

STALE = "0f0e0d0c-0b0a-4908-8706-050403020100"


def here(*places: Paths, driver: str = "") -> Here:
    """A machine without other folders of specifications; with a driver of this version loaded."""
    sys = Path(places[0].state) / "sys"
    if driver:
        fill(sys, {"/module/nvidia/version": driver + "\n"})
    return Here(places, (), str(sys))


def test_our_own_plan(tmp_path: Path) -> None:
    where = machine.places(tmp_path)
    plan = machine.own(where)
    assert local.own_plan(here(where), None) == (plan, where)


def test_the_first_place_that_has_a_specification(tmp_path: Path) -> None:
    system, own = machine.places(tmp_path / "system"), machine.places(tmp_path / "own")
    plan = machine.own(own)
    assert local.own_plan(here(system, own), None) == (plan, own)


def test_a_stale_plan_is_an_error_for_users_and_made_anew_by_root(tmp_path: Path) -> None:
    where = machine.places(tmp_path)
    machine.own(where, boot_id=STALE)
    with pytest.raises(StaleError) as caught:
        local.own_plan(here(where), None)
    assert caught.value.mend == "sudo gpudock refresh"
    asked: list[tuple[tuple[str, ...], ...]] = []

    def refresh(wanted: tuple[tuple[str, ...], ...]) -> None:
        asked.append(wanted)
        machine.own(where, gpus=1)

    found = local.own_plan(here(where), refresh)
    assert found is not None
    assert len(found[0]["gpus"]) == 1
    assert asked == [()]


def test_no_specification_at_all(tmp_path: Path) -> None:
    where = machine.places(tmp_path)
    with pytest.raises(HostError, match="no NVIDIA driver loaded"):
        local.own_plan(here(where), None)
    with pytest.raises(StaleError, match="not set up"):
        local.own_plan(here(where, driver="580.1"), None)


def test_capabilities_are_added(tmp_path: Path) -> None:
    where = machine.places(tmp_path)
    asked: list[tuple[tuple[str, ...], ...]] = []

    def refresh(wanted: tuple[tuple[str, ...], ...]) -> None:
        asked.append(wanted)
        machine.own(where)

    assert len(local.renewed(where, refresh, ("video",)).plan["gpus"]) == 2
    assert asked == [(("video",),)]


def test_somebody_elses_specification(tmp_path: Path) -> None:
    where = machine.places(tmp_path)
    path = machine.foreign(tmp_path / "cdi")
    machine.foreign(tmp_path / "cdi", "other.json", {"kind": "vendor.com/net"})
    machine.foreign(tmp_path / "cdi", "gpudock-imex.json", {"kind": "nvidia.com/imex-channel"})
    assert local.own_plan(here(where), None) is None
    assert local.foreign(here(where)) == Foreign(str(path), ("0", "all"))
    local.check(Foreign(str(path), ("0", "all")), "")


def test_two_specifications_of_one_folder(tmp_path: Path) -> None:
    where = machine.places(tmp_path)
    machine.own(where)
    machine.foreign(tmp_path / "cdi")
    with pytest.raises(HostError, match="define the same devices") as caught:
        local.own_plan(here(where), None)
    assert "--adopt" in caught.value.mend


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"devices": [{"name": "0", "containerEdits": {"deviceNodes": [{"path": "/dev/gone"}]}}]}, "/dev/gone"),
        ({"containerEdits": {"mounts": [{"hostPath": "/gone/libcuda.so", "containerPath": "/x"}]}}, "/gone/libcuda.so"),
        ({"containerEdits": {"hooks": [{"hookName": "createContainer", "path": "/gone/nvidia-ctk"}]}}, "nvidia-ctk"),
    ],
)
def test_somebody_elses_specification_that_no_longer_fits(
    tmp_path: Path, changes: dict[str, object], problem: str
) -> None:
    path = machine.foreign(tmp_path, changes=changes)
    with pytest.raises(HostError, match="does not fit this machine") as caught:
        local.check(Foreign(str(path), ()), "")
    assert problem in caught.value.why
    assert "nvidia-ctk cdi generate" in caught.value.mend


def test_where_an_engine_looks(tmp_path: Path) -> None:
    facts = docker()
    assert local.seen_by(facts, "/var/run/cdi")
    assert local.seen_by(facts, "/var/../var/run/cdi")
    assert not local.seen_by(facts, str(tmp_path))
    error = local.unseen("docker", facts, str(tmp_path))
    assert str(tmp_path) in error.what
    assert "/etc/cdi, /var/run/cdi" in error.why
