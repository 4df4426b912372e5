"""Warnings that nothing forbids to ignore."""

import pytest

from gpudock.engine import advice
from gpudock.engine.advice import Owner
from gpudock.engine.offer import Chosen, PlanOffer
from gpudock.facts.base import Missing
from gpudock.facts.gpu import Gpu, GpuProcess, MigInstance
from gpudock.plan.capabilities import DEFAULT
from gpudock.plan.request import parse_gpus
from unit.plan.plans import UUIDS, gpu, plan_with

OWNERS = {
    1: Owner(1000, "alice", "python"),
    2: Owner(0, "root", "Xorg"),
    3: Owner(0, "root", "python3"),
    4: Owner(1001, "bob", "train"),
}


def chosen(text: str = "device=0") -> Chosen:
    return PlanOffer(plan_with(gpu(0), gpu(1))).choose(parse_gpus(text), DEFAULT, named=True)


def busy(*pids: int, uid: int = 1000, text: str = "device=0") -> list[str]:
    processes = tuple(GpuProcess(pid=pid, used_memory=1) for pid in pids)
    facts = Gpu(index=0, uuid=UUIDS[0], bus_id="0000:06:00.0", minor=0, name="H200", processes=processes)
    return list(advice.busy([facts], chosen(text), OWNERS.get, uid=uid))


def test_a_gpu_in_use_by_somebody_else() -> None:
    assert busy(4) == ["GPU 0 is in use by process 4 (train, of bob)."]
    assert busy(3, 4) == ["GPU 0 is in use by processes 3 (python3, of root), 4 (train, of bob)."]


def test_own_processes_a_desktop_and_gone_ones_are_nobody() -> None:
    assert busy(1, 2, 99) == []


def test_to_root_everybody_is_somebody() -> None:
    assert busy(1, 3, uid=0) == ["GPU 0 is in use by processes 1 (python, of alice), 3 (python3, of root)."]


def test_gpus_that_were_not_chosen_do_not_matter() -> None:
    assert busy(4, text="device=1") == []


def test_only_the_mig_device_that_was_chosen_matters() -> None:
    offer = PlanOffer(plan_with())
    picked = offer.choose(parse_gpus("device=1:0"), DEFAULT, named=True)
    instances = tuple(
        MigInstance(index=at, gi=at + 1, ci=0, uuid=uuid, profile="1g")
        for at, uuid in enumerate((picked.uuids[0], "MIG-other"))
    )
    processes = (GpuProcess(pid=3, used_memory=1, gi=1, ci=0), GpuProcess(pid=4, used_memory=1, gi=2, ci=0))
    facts = Gpu(
        index=1, uuid=UUIDS[1], bus_id="x", minor=1, name="H200", mig=True, instances=instances, processes=processes
    )
    found = list(advice.busy([facts], picked, OWNERS.get, uid=1000))
    assert found == ["GPU 1:0 is in use by process 3 (python3, of root)."]


def test_processes_that_could_not_be_read_are_no_warning() -> None:
    facts = Gpu(index=0, uuid=UUIDS[0], bus_id="x", minor=0, name="H200", processes=Missing("no"))
    assert list(advice.busy([facts], chosen(), OWNERS.get, uid=0)) == []


@pytest.mark.parametrize("value", ["1", "0,1", "5", UUIDS[1], "0, 1"])
def test_host_numbers_in_cuda_visible_devices(value: str) -> None:
    warning = advice.cuda_visible(value, chosen("device=0"))
    assert warning is not None
    assert "from 0" in warning
    assert "1 GPU, number 0" in warning


@pytest.mark.parametrize("value", [None, "", "0", UUIDS[0], "GPU-8f3c1", "all", "NoDevFiles", "-1"])
def test_what_cuda_visible_devices_may_say(value: str | None) -> None:
    assert advice.cuda_visible(value, chosen("device=0")) is None


def test_an_unknown_number_of_gpus_is_no_reason_to_warn() -> None:
    assert advice.cuda_visible("7", chosen()._replace(number=-1, uuids=())) is None


def test_a_newer_cuda_than_the_drivers() -> None:
    warning = advice.cuda_version({"com.nvidia.cuda.version": "13.9.1"}, chosen())
    assert warning is not None
    assert "CUDA 13.9" in warning
    assert advice.cuda_version({"com.nvidia.cuda.version": "12.4"}, chosen()) is None
    assert advice.cuda_version({}, chosen()) is None


def test_privileged_containers_get_every_gpu() -> None:
    assert advice.privileged("true", chosen("device=0")) is not None
    assert advice.privileged("false", chosen("device=0")) is None
    assert advice.privileged(None, chosen("device=0")) is None
    assert advice.privileged("true", chosen("all")) is None
