"""Nodes and groups of a device: what both the specification and the runtime give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gpudock.plan import edits
from unit.plan.plans import gpu, node, plan_with

if TYPE_CHECKING:
    from gpudock.plan.document import Variant

VARIANT: Variant = plan_with()["variants"]["compute.utility"]


def paths(drm: bool) -> list[str]:
    return [each["path"] for each in edits.nodes(gpu(0), {**VARIANT, "drm": drm})]


def test_control_nodes_then_the_devices_own_sorted_by_path() -> None:
    assert paths(drm=False) == ["/dev/nvidia-uvm", "/dev/nvidia0", "/dev/nvidiactl"]
    assert paths(drm=True) == ["/dev/dri/renderD128", *paths(drm=False)]


def test_each_path_once() -> None:
    twice = [node("/dev/b", 1, 2), node("/dev/a", 1, 1), node("/dev/b", 1, 2)]
    assert edits.merged(twice) == [twice[1], twice[0]]


@pytest.mark.parametrize(
    ("mode", "gid", "groups"),
    [(0o660, 105, [105]), (0o664, 105, [105]), (0o666, 105, []), (0o660, 0, []), (0o440, 44, [44])],
)
def test_groups_only_for_nodes_that_are_not_open_to_the_world(mode: int, gid: int, groups: list[int]) -> None:
    assert edits.groups([{**node("/dev/x", 1, 1, mode), "gid": gid}]) == groups


def test_groups_are_named_once_in_order() -> None:
    chosen = [{**node(f"/dev/{gid}", 1, gid, 0o660), "gid": gid} for gid in (105, 44, 105)]
    assert edits.groups(chosen) == [44, 105]  # type: ignore[arg-type]
