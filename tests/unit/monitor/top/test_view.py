"""What the table shows: groups, order, filter, one container, and what is not known."""

from msgspec.structs import replace

from gpudock.facts.base import Missing
from gpudock.monitor.sample import Sample
from gpudock.monitor.top.panel import _mark
from gpudock.monitor.top.view import Row, Sort, Wanted, nothing, rows
from unit.monitor import demo, scene


def names(sample: Sample, wanted: Wanted) -> list[str]:
    return [row.name for row in rows(sample, wanted)]


def test_processes_stand_under_their_container() -> None:
    found = rows(demo.sample(), Wanted())
    assert [(row.heading, row.name) for row in found] == [
        (True, "training"),
        (False, "5151 python3"),
        (True, "alice-jupyter"),
        (False, "4242 python3"),
        (False, "4243 python3"),
        (True, "c3c3c3c3c3c3"),
        (False, "6161 python3"),
    ]
    heading = found[2]
    assert heading == Row(
        key=f"group {demo.JUPYTER}",
        heading=True,
        name="alice-jupyter",
        person="alice",
        gpus="0",
        memory="40.0 GiB",
        utilization="73 %",
        cpu="1.5",
        host_memory="9/64 GiB",
        container=demo.JUPYTER,
    )


def test_a_sum_with_something_missing_is_missing() -> None:
    other = rows(demo.sample(), Wanted())[5]
    assert (other.memory, other.utilization, other.cpu) == ("?", "0 %", "?")


def test_mig_instances_have_their_own_name() -> None:
    assert rows(demo.sample(), Wanted())[6].gpus == "2:0"


def test_by_person() -> None:
    assert names(demo.sample(), Wanted(group="person")) == [
        "bob",
        "5151 python3 · training",
        "alice",
        "4242 python3 · alice-jupyter",
        "4243 python3 · alice-jupyter",
        "carol",
        "6161 python3 · c3c3c3c3c3c3",
    ]


def test_not_grouped_every_process_tells_all() -> None:
    first = rows(demo.sample(), Wanted(group="none"))[0]
    assert (first.name, first.person, first.gpus, first.memory) == ("5151 python3 · training", "bob", "1", "120 GiB")
    assert first.time == "2 h 0 min"


def test_processes_of_the_host_have_a_group_of_their_own() -> None:
    found = {row.name: row for row in rows(scene.sample(1e9), Wanted())}
    assert (found["(host)"].container, found["(host)"].person) == ("", "root")
    assert found["911 Xorg"].time == "?"


def test_orders() -> None:
    def order(sort: Sort, *, reverse: bool = False) -> list[str]:
        return names(demo.sample(), Wanted(group="none", sort=sort, reverse=reverse))

    assert [name[:4] for name in order("utilization")] == ["5151", "4242", "4243", "6161"]
    assert [name[:4] for name in order("memory")] == ["5151", "4242", "4243", "6161"]
    # What is not known is the last, whatever the order.
    assert [name[:4] for name in order("memory", reverse=True)] == ["4243", "4242", "5151", "6161"]
    assert [name[:4] for name in order("name")] == ["4242", "4243", "6161", "5151"]


def test_the_oldest_comes_first_by_time() -> None:
    found = names(scene.sample(1e9), Wanted(sort="time"))
    assert [name for name in found if name in {"(host)", "inference"}] == [
        "inference",
        "(host)",
    ]  # when it began is "?"
    assert [name for name in found if name in {"train-llm", "notebook", "inference"}] == [
        "inference",
        "notebook",
        "train-llm",
    ]


def test_filter_by_person_container_program_image_and_pid() -> None:
    for text, expected in (
        ("ALICE", "alice-jupyter"),
        ("training", "training"),
        ("5151", "training"),
        ("llm", "training"),
        ("torch:2.9", "alice-jupyter"),
    ):
        found = [row.name for row in rows(demo.sample(), Wanted(filter=text)) if row.heading]
        assert found == [expected], text
    assert rows(demo.sample(), Wanted(filter="nothing of that name")) == ()


def test_why_there_are_no_rows() -> None:
    free = demo.sample(processes=(), containers=(), people=())
    assert nothing(free, Wanted()) == "No process is on a GPU."
    assert not isinstance(free.gpus, Missing)
    untold = tuple(replace(each, untold=Missing("Not Supported"), idle=None) for each in free.gpus)
    assert nothing(replace(free, gpus=untold), Wanted()) == "Who uses the GPUs is not known."
    assert {_mark(replace(gpu, untold=None), ())[0] for gpu in untold} == {"○"}
    assert {_mark(gpu, ())[0] for gpu in untold} == {"?"}


def test_one_container_is_followed() -> None:
    assert {row.container for row in rows(demo.sample(), Wanted(follow=demo.TRAINING))} == {demo.TRAINING}


def test_names_of_others_cannot_move_the_cursor() -> None:
    found = rows(scene.sample(1e9), Wanted())
    assert all(text.isprintable() for row in found for text in row if isinstance(text, str))
    assert any("\\x1b[31m\\u202e" in row.name for row in found)


def test_no_gpus_no_rows() -> None:
    assert rows(Sample(time=1.0, gpus=Missing("no driver")), Wanted()) == ()
