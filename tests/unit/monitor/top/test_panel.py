"""The lines of GPUs: what is on them at every width, and what is said when something is wrong or unknown."""

import pytest
from msgspec.structs import replace

from gpudock.facts.base import Missing
from gpudock.monitor.sample import Ecc, Memory, Remapped, Sample, Temperature, Utilization, Xid
from gpudock.monitor.top import panel
from unit.monitor import demo, scene


def shown(sample: Sample, width: int = 78, **given: str) -> list[str]:
    return ["".join(piece.text for piece in line) for line in panel.lines(sample, {}, width, **given)]


def changed(**of_gpu: object) -> Sample:
    """The demo machine with a single GPU that is different."""
    gpu = replace(demo.gpu(0, 0), **of_gpu)
    return replace(demo.sample(), gpus=(gpu,))


def test_one_line_for_each_gpu_and_instance() -> None:
    found = shown(demo.sample())
    assert [line[:4] for line in found] == [" 0 ●", " 1 ●", " 2 ◐", "  2:", "  2:", " 3 ○"]
    assert found[0].endswith("58°C alice")
    assert "73 %" in found[0]
    assert "40/140 GiB" in found[0]
    assert found[3].startswith("  2:0 MIG 3g.71gb")
    assert found[2].endswith("carol idle 30 min")


@pytest.mark.parametrize("width", [78, 99, 118, 138, 198])
def test_lines_are_in_columns(width: int) -> None:
    places = {line.index("/140 GiB") for line in shown(demo.sample(), width) if "/140 GiB" in line}
    assert len(places) == 1
    assert max(places) < width


def test_wide_screens_show_watts_and_names() -> None:
    assert "H200" not in shown(demo.sample(), 118)[0]
    assert "490/700 W" in shown(demo.sample(), 118)[0]
    assert "H200" in shown(demo.sample(), 138)[0]


def test_what_is_unknown_is_a_question_mark() -> None:
    untold = Missing("not told")
    line = shown(changed(utilization=Utilization(gpu=untold), memory=Memory(used=untold, total=untold)))[0]
    assert "╌?╌" in line
    assert "?/?" in line
    assert " 0 %" not in line


@pytest.mark.parametrize(
    ("of_gpu", "text"),
    [
        ({"temperature": Temperature(gpu=87, slowdown=89)}, "87°C!"),
        ({"ecc": Ecc(uncorrected_volatile=3)}, "3 ECC errors"),
        ({"remapped": Remapped(failed=True)}, "row remapping failed"),
        ({"remapped": Remapped(pending=True)}, "row remapping pending"),
        ({"throttle": ("hw_thermal_slowdown",)}, "slowed down"),
        ({"xids": demo.gpu(1, 0).xids}, "Xid 31, 10 min"),
        ({"recovery": 1}, "needs a reset"),
        ({"recovery": 2}, "needs a reboot"),
    ],
)
def test_troubles_are_said(of_gpu: dict[str, object], text: str) -> None:
    assert text in shown(changed(**of_gpu), 138)[0]
    assert text not in shown(changed(), 138)[0]


def test_an_error_of_a_program_is_no_fault_of_the_gpu_and_a_fault_is_news_for_a_day() -> None:
    def told(*codes: int, ago: float = 60.0) -> list[tuple[str, str]]:
        xids = tuple(Xid(code=code, times=1, last=demo.START - ago) for code in codes)
        line = panel.lines(changed(xids=xids), {}, 138)[0]
        return [(piece.text, piece.style) for piece in line if "Xid" in piece.text]

    assert told(31) == [(" Xid 31, 1 min", "quiet")]
    assert told(79, 45) == [("Xid 79, 1 min  ", "bad")]  # the second is what became of the program
    assert told(79, ago=86401) == []


def test_what_is_wrong_is_said_before_who_is_on_it_and_the_gravest_first() -> None:
    wrong = changed(recovery=1, ecc=Ecc(uncorrected_volatile=3), xids=(Xid(code=79, times=1, last=demo.START - 60),))
    assert shown(wrong, 138)[0].endswith("W needs a reset · Xid 79, 1 min · 3 ECC errors  alice")
    assert shown(wrong, 78)[0].endswith("°C needs a reset  alice")


def test_a_power_limit_is_no_trouble() -> None:
    assert "slowed down" not in shown(changed(throttle=("sw_power_cap", "gpu_idle")), 138)[0]


def test_only_gpus_of_the_container_that_is_followed() -> None:
    assert [line[:2] for line in shown(demo.sample(), follow=demo.TRAINING)] == [" 1"]


def test_without_gpus_the_reason() -> None:
    assert shown(Sample(time=1.0, gpus=Missing("no driver"))) == ["No GPU can be shown: no driver"]
    assert shown(Sample(time=1.0, gpus=())) == ["This machine has no GPU."]


def test_people_with_most_memory_come_first_and_once() -> None:
    lines = shown(scene.sample(1e9), 138)
    assert lines[3].rstrip().endswith("chiyo, bob")
    assert lines[0].rstrip().endswith("alice, root")


def test_the_name_of_a_gpu_cannot_move_the_cursor() -> None:
    hostile = replace(demo.gpu(0, 0), name="\x1b[2J\u202eevil")
    assert all(line.isprintable() for line in shown(replace(demo.sample(), gpus=(hostile,)), 138))
