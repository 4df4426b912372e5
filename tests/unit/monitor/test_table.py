"""What `gpudock status` prints."""

import pytest
from msgspec.structs import replace
from rich.cells import cell_len

from gpudock.cli.terminal import safe
from gpudock.facts.base import Missing
from gpudock.monitor import words
from gpudock.monitor.sample import TWO_LOOKS, Container, Owner, Process, Profiling, Remapped, Sample
from gpudock.monitor.table import beginning, render
from unit.monitor import demo


def lines(sample: Sample) -> list[str]:
    return [" ".join(line.split()) for line in render(sample).splitlines()]


def test_gpus_and_who_is_on_them() -> None:
    text = lines(demo.sample())
    assert "driver 580.159.04 CUDA 13.0" in text[0]
    assert "0 H200 73 % 40.0/140.4 GiB 490/700 W 58 C alice" in text
    assert "2 H200 0 % 12.0/140.4 GiB 88/700 W 34 C carol (idle 30 min)" in text
    assert "2:0 MIG 3g.71gb ? 12.0/71.0 GiB carol" in text
    assert "3 H200 0 % 0.0/140.4 GiB 88/700 W 34 C -" in text
    assert "4242 0 36.0 GiB 63 % alice alice-jupyter python3" in text
    assert "6161 2:0 ? 0 % carol c3c3c3c3c3c3 python3" in text  # unknown memory is "?"


def test_columns_stand_below_each_other() -> None:
    table = [line for line in render(demo.sample()).splitlines() if line and line[0].isdigit()][:3]
    assert len({line.index("H200") for line in table}) == 1


def busy() -> Sample:
    """One GPU with a long name, and two containers whose names differ at their ends alone."""
    gpu = replace(demo.gpu(0, 0), name="NVIDIA H100 80GB HBM3", idle=1800.0)
    owner = Owner(name="王小明", uid=1)
    containers = tuple(
        Container(id=f"{place}" * 64, name=f"gpudock-alice-llm-training-{place}", owner=owner) for place in range(2)
    )
    processes = tuple(
        Process(pid=4190000 + place, gpu=gpu.uuid, name="VLLM::EngineCore", container=each.id, owner=owner)
        for place, each in enumerate(containers)
    )
    return replace(
        demo.sample(), host="gpu-17.cluster.example.org", gpus=(gpu,), containers=containers, processes=processes
    )


@pytest.mark.parametrize("width", [66, 72, 80, 100])
def test_on_a_terminal_no_line_is_broken_and_what_tells_names_apart_stays(width: int) -> None:
    text = render(busy(), width).splitlines()
    assert max(map(cell_len, text)) <= width
    assert any("王小明 (idle 30 min)" in line for line in text) == (width >= 80)
    first, second = text[-2:]
    assert "ng-0 " in first
    assert "ng-1 " in second
    assert "4190000" in first


def test_there_is_room_for_whole_names_elsewhere() -> None:
    for text in (render(busy()), render(busy(), 200)):
        assert "gpudock-alice-llm-training-0  VLLM::EngineCore" in text
        assert "…" not in text


def test_a_name_of_wide_characters_is_cut_between_them() -> None:
    owner = Owner(name="名前" * 30, uid=1)
    text = render(replace(busy(), processes=(replace(busy().processes[0], owner=owner),)), 80)
    assert max(map(cell_len, text.splitlines())) <= 80
    assert "名…" in text or "前…" in text


def test_no_gpu_and_no_process_are_said() -> None:
    assert "No GPU can be shown: there is no NVIDIA driver." in lines(
        Sample(time=1.0, gpus=Missing("there is no NVIDIA driver"))
    )
    none = lines(demo.sample(gpus=(), processes=(), containers=(), people=()))
    assert none[1:] == ["This machine has no GPU that the driver sees. `gpudock doctor` looks for the cause."]
    assert "No process uses a GPU." in lines(demo.sample(processes=(), containers=(), people=()))


def test_gpus_of_which_nobody_tells_who_uses_them_are_not_free() -> None:
    gpus = demo.sample().gpus
    assert not isinstance(gpus, Missing)
    untold = tuple(replace(each, untold=Missing("Not Supported"), idle=None) for each in gpus)
    text = render(demo.sample(gpus=untold, processes=(), containers=(), people=()))
    assert "Who uses the GPUs is not known." in text
    assert "No process" not in text
    rows = [line for line in text.splitlines() if line and line[0].isdigit()]
    assert rows
    assert {line.split()[-1] for line in rows} == {"?"}


def test_old_data_and_problems_are_said() -> None:
    text = lines(demo.sample(age=95.0, problems=("docker: it is not running",)))
    assert "OLD: nothing was read for 1 min" in text[1]
    assert text.index("note: docker: it is not running") < next(at for at, line in enumerate(text) if "PROGRAM" in line)


def test_faults_of_gpus_are_notes() -> None:
    ill = replace(demo.gpu(0, 0), recovery=1, remapped=Remapped(pending=True))
    text = lines(demo.sample(gpus=(ill, demo.gpu(1, 0))))
    assert [each for each in text if each.startswith("note:")] == ["note: GPU 0: needs a reset · row remapping pending"]


def test_what_mig_needs_to_be_measured_is_said() -> None:
    sample = demo.sample()
    gpu = replace(
        demo.gpu(2, 0),
        instances=tuple(replace(each, profiling=Profiling(graphics=TWO_LOOKS)) for each in demo.gpu(2, 0).instances),
    )
    early = replace(sample, gpus=(gpu,))
    note = "note: how busy MIG instances are is known after ten seconds: gpudock status --watch"
    assert note in lines(early)
    assert note not in lines(sample)


def test_names_of_others_do_nothing_to_a_terminal_or_a_table() -> None:
    sample = demo.sample()
    evil = replace(sample.containers[0], name="x\x1b[2J\n\r\u202e" + "y" * 300)
    owner = replace(sample.processes[0].owner, name="名前" * 30)  # type: ignore[type-var]
    process = replace(sample.processes[0], name="rm\t-rf\n\x07", owner=owner)
    text = render(replace(sample, containers=(evil, *sample.containers[1:]), processes=(process,)))
    row = text.splitlines()[-1]
    assert row.startswith("4242")
    shown = safe(text)
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\u202e" not in shown
    assert "x?[2J???yyy" in shown


def test_numbers_in_words() -> None:
    assert [words.size(each) for each in (0, 1023, 1 << 20, 1536 << 20, 150754820096)] == [
        "0 B", "1023 B", "1.0 MiB", "1.5 GiB", "140 GiB",
    ]  # fmt: skip
    assert words.size(Missing("no")) == words.share(Missing("no"), Missing("no")) == words.known(None) == "?"
    assert words.share(Missing("no"), 1 << 30) == "?/1.0 GiB"
    assert [words.span(each) for each in (-82_800, 5, 65, 3700, 90_000)] == [
        "0 s",
        "5 s",
        "1 min",
        "1 h 1 min",
        "1 d 1 h",
    ]


def test_what_is_drawn_again_and_again_has_room_on_the_terminal() -> None:
    text = "\n".join(["a" * 25, *"bcdef"])  # eight lines at a width of ten
    assert beginning(text, 10, 9) == text
    assert beginning(text, 10, 8).split("\n") == ["a" * 25, "b", "c", "d", "… 2 lines more: gpudock top"]
    assert beginning(text, 10, 3) == "… 6 lines more: gpudock top"
    assert beginning("深" * 10, 10, 3) == "深" * 10
    assert beginning("深" * 11, 10, 3) == "… 1 lines more: gpudock top"
