from gpudock.env import gc
from gpudock.env.gc import Held, Layer

BASE = Layer("base", 100)


def held(name: str, project: str, *layers: Layer) -> Held:
    return Held(name, name, project, (BASE, *layers))


NEW = held("new", "/p", Layer("n", 7))
OLD = held("old", "/p", Layer("o", 5), Layer("shared", 30))
OLDER = held("older", "/p", Layer("o2", 3), Layer("shared", 30))


def test_the_newest_of_a_project_stays_and_so_does_what_it_shares() -> None:
    found = gc.sweep([NEW, OLD], (), (), ())
    assert [(each.image.name, each.freed, each.shared) for each in found] == [("old", 35, 100)]


def test_what_two_that_go_share_is_freed_once() -> None:
    found = gc.sweep([NEW, OLD, OLDER], (), (), ())
    assert [(each.image.name, each.freed) for each in found] == [("old", 35), ("older", 3)]
    assert sum(each.freed for each in found) == 38


def test_an_image_that_any_container_has_is_not_named() -> None:
    assert gc.sweep([NEW, OLD], (), {"old"}, ()) == ()


def test_a_project_that_is_gone_keeps_nothing_but_what_others_have() -> None:
    (found,) = gc.sweep([NEW], {"base"}, (), {"/p"})
    assert (found.freed, found.shared) == (7, 100)
    (alone,) = gc.sweep([NEW], (), (), {"/p"})
    assert (alone.freed, alone.shared) == (107, 0)


def test_histories_are_alike_as_far_as_they_are_the_same() -> None:
    first = "5\t2026-01-02\tRUN a\n0\t2026-01-01\tENV x\n100\t2026-01-01\tADD base\n"
    second = "9\t2026-01-03\tRUN b\n0\t2026-01-01\tENV x\n100\t2026-01-01\tADD base\n"
    one, two = gc.history(first), gc.history(second)
    assert [layer.size for layer in one] == [100, 5]
    assert one[0] == two[0]
    assert one[1].key != two[1].key
    assert gc.history("5\t2026-01-02\tRUN a\n100\t2026-02-01\tADD base\n")[0] != one[0]
