"""The Sample as a value: JSON and back, what it says of its age, and what is missing stays missing."""

from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec.structs import replace

from gpudock.facts.base import Missing
from gpudock.monitor.sample import TWO_LOOKS, Instance, Profiling, Sample, Utilization, decode, encode
from unit.monitor import demo

if TYPE_CHECKING:
    from gpudock.monitor.source import History, Source


@pytest.mark.parametrize("tick", [0, 1, 77])
def test_json_and_back(tick: int) -> None:
    sample = demo.sample(tick)
    assert decode(encode(sample)) == sample


def test_missing_is_never_zero_in_json() -> None:
    told = msgspec.json.decode(encode(demo.sample()))
    assert told["gpus"][0]["fan"] == {"is": "missing", "reason": "nvmlDeviceGetFanSpeed: Not Supported"}
    assert told["containers"][2]["memory"]["is"] == "missing"


def test_no_gpus_at_all_is_said() -> None:
    sample = decode(encode(Sample(time=1.0, gpus=Missing("there is no NVIDIA driver"))))
    assert sample.gpus == Missing("there is no NVIDIA driver")
    assert sample.gpu(demo.UUIDS[0]) is None


def test_old_samples_say_so() -> None:
    assert not demo.sample(age=1.5).stale
    assert demo.sample(age=3.2).stale
    assert not demo.sample(age=20.0, interval=10.0).stale


def test_what_belongs_together_is_found() -> None:
    sample = demo.sample()
    container = sample.container(sample.processes[0].container)
    assert container is not None
    assert container.label == "alice-jupyter"
    assert sample.gpu(sample.processes[0].gpu) == sample.gpus[0]  # type: ignore[index]
    assert sample.container("nobody's") is None
    nameless = sample.container(demo.OTHER)
    assert nameless is not None
    assert nameless.label == "c3c3c3c3c3c3"


def test_a_divided_gpu_is_as_busy_as_its_instances_by_their_size() -> None:
    untold = Utilization(gpu=Missing("Not Supported"))
    made = [
        Instance(index=at, gi=gi, ci=ci, uuid=f"MIG-{at}", profile=profile, profiling=Profiling(graphics=busy))
        for at, (gi, ci, profile, busy) in enumerate(
            [(1, 0, "1c.3g.71gb", 0.8), (1, 1, "2c.3g.71gb", 0.8), (9, 0, "1g.18gb", 0.0)]
        )
    ]
    divided = replace(demo.gpu(2, 0), utilization=untold, instances=tuple(made))
    assert divided.load == 60  # two compute instances share what their GPU instance counts
    assert demo.gpu(0, 0).load == demo.busy(0, 0)
    waiting = (*made, replace(made[2], gi=10, profiling=Profiling(graphics=TWO_LOOKS)))
    assert replace(divided, instances=waiting).load == TWO_LOOKS
    assert replace(divided, instances=()).load == untold.gpu


def test_the_demo_is_what_surfaces_are_given() -> None:
    source: Source = demo.DemoSource()
    history: History = demo.DemoHistory()
    assert source.wait(0, 1.0).number == 1
    chart = history.chart("utilization", "gpu", demo.START, demo.START + 3600)
    assert {len(each.values) for each in chart.series} == {len(chart.times)} == {300}
    assert history.usage("user", demo.START, demo.START + 3600).rows[0].key == "bob"
