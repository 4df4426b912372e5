"""Which devices a request gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from gpudock.errors import RefusedError
from gpudock.plan.reader import check
from gpudock.plan.request import Request, parse_gpus, parse_visible_devices
from gpudock.plan.select import select
from unit.plan.plans import UUIDS, gpu, plan_of, plan_with

if TYPE_CHECKING:
    from gpudock.plan.document import Gpu, Plan

TWO = plan_with(gpu(0), gpu(1))
MIXED = plan_with()
MIG_10 = MIXED["gpus"][1]["instances"][0]["uuid"]


def names(plan: Plan, text: str) -> list[str]:
    return [device.name for device in select(plan, parse_visible_devices(text))]


@pytest.mark.parametrize("plan", [TWO, MIXED, plan_of([])])
def test_the_builder_makes_plans_that_the_reader_takes(plan: Plan) -> None:
    assert check(plan) is plan


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("void", []),
        ("none", []),
        ("all", ["0", "1"]),
        ("0", ["0"]),
        ("1,0", ["1", "0"]),
        ("0,0", ["0"]),
        (f"0,{UUIDS[0]}", ["0"]),
        (UUIDS[1], ["1"]),
        (UUIDS[1].upper().replace("GPU-", "gpu-"), ["1"]),
        ("GPU-8f3c1", ["0"]),
        ("8F3CFF", ["1"]),
        (UUIDS[1][4:], ["1"]),
        ("0000:07:00.0", ["1"]),
        ("00000000:06:00.0", ["0"]),
        ("nvidia.com/gpu=1", ["1"]),
    ],
)
def test_whole_gpus(text: str, expected: list[str]) -> None:
    assert names(TWO, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all", ["0", "1:0", "1:1"]),
        ("1:1,0", ["1:1", "0"]),
        (MIG_10, ["1:0"]),
        ("MIG-10aa", ["1:0"]),
        ("11aab", ["1:1"]),
        (f"MIG-{UUIDS[1]}/2/0", ["1:1"]),
        (f"1:0,{MIG_10}", ["1:0"]),
    ],
)
def test_mig_devices(text: str, expected: list[str]) -> None:
    assert names(MIXED, text) == expected


def test_what_a_selected_device_carries() -> None:
    whole, part, _ = select(MIXED, Request("all"))
    assert (whole.uuid, whole.instance, [node["path"] for node in whole.nodes]) == (UUIDS[0], None, ["/dev/nvidia0"])
    assert part.gpu is MIXED["gpus"][1]
    assert part.instance is MIXED["gpus"][1]["instances"][0]
    assert part.uuid == MIG_10
    paths = ["/dev/nvidia1", "/dev/nvidia-caps/nvidia-cap12", "/dev/nvidia-caps/nvidia-cap13"]
    assert [node["path"] for node in part.nodes] == paths
    assert ([node["path"] for node in whole.drm], part.drm) == (["/dev/dri/renderD128"], ())


def test_a_count_takes_the_first() -> None:
    assert [device.name for device in select(MIXED, parse_gpus("2"))] == ["0", "1:0"]
    with pytest.raises(RefusedError, match="asks for 4 GPUs, this machine has 3") as caught:
        select(MIXED, parse_gpus("4"))
    assert "3 or fewer" in caught.value.mend


@pytest.mark.parametrize("text", ["1", UUIDS[1], "0000:07:00.0", "8f3cf"])
def test_a_divided_gpu_cannot_be_had_whole(text: str) -> None:
    with pytest.raises(RefusedError, match="cannot be had whole") as caught:
        names(MIXED, text)
    assert "1:0" in caught.value.why
    assert MIG_10 in caught.value.why
    assert "such as 1:0, or for 1:0,1:1" in caught.value.mend


def test_a_gpu_with_one_mig_device_names_it_once() -> None:
    divided = {**MIXED["gpus"][1], "instances": MIXED["gpus"][1]["instances"][:1]}
    with pytest.raises(RefusedError) as caught:
        names(plan_of([cast("Gpu", divided)]), "1")
    assert caught.value.mend == "ask for 1:0"


def test_gpus_in_mig_mode_without_mig_devices() -> None:
    empty = plan_with(gpu(0, instances=0))
    with pytest.raises(RefusedError, match="no MIG device to give"):
        names(empty, "all")
    with pytest.raises(RefusedError, match="not divided yet"):
        names(plan_with(gpu(0), gpu(1, instances=0)), "1")


@pytest.mark.parametrize("text", ["GPU-8f3c", "8f3c", "GPU-8f3c,0"])
def test_ambiguous_prefixes_name_the_matches(text: str) -> None:
    with pytest.raises(RefusedError, match="more than one device") as caught:
        names(TWO, text)
    assert UUIDS[0] in caught.value.why
    assert UUIDS[1] in caught.value.why


@pytest.mark.parametrize("text", ["7", "0:1", "1:9", "GPU-ffff", "ffff", "MIG-8f3c", "00:09.0", f"MIG-{UUIDS[1]}/9/0"])
def test_unknown_devices_name_what_exists(text: str) -> None:
    with pytest.raises(RefusedError, match="does not have") as caught:
        names(MIXED, "0," + text)
    assert text.rstrip("0").rstrip(".")[-4:] in caught.value.what
    assert "NVIDIA_VISIBLE_DEVICES" in caught.value.what
    for device in (UUIDS[0], UUIDS[1], MIG_10):
        assert device in caught.value.why


@pytest.mark.parametrize("text", ["all", "1", "device=0"])
def test_no_gpu_at_all(text: str) -> None:
    with pytest.raises(RefusedError, match="--gpus asks for a GPU, but this machine has none") as caught:
        select(plan_of([]), parse_gpus(text))
    assert "gpudock refresh" in caught.value.mend


def test_without_a_gpu_none_is_still_none() -> None:
    assert select(plan_of([]), parse_gpus("none")) == ()


def test_many_devices_make_no_long_message() -> None:
    gpus = [gpu(index, uuid=f"GPU-{index:08x}-0000-4000-8000-000000000000", instances=7) for index in range(16)]
    with pytest.raises(RefusedError) as caught:
        names(plan_with(*gpus), "99")
    assert "and 112 more" in caught.value.why
    assert len(str(caught.value)) < 2000
