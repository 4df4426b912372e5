import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpudock.env.image import lock
from gpudock.env.recipe import Recipe, Service, Step, User
from gpudock.errors import InputError
from unit.env.locks import LOCK


def test_it_comes_back() -> None:
    assert lock.decode(lock.encode(LOCK), "x") == LOCK
    assert lock.encode(LOCK).count(b"\n") == 21  # a package a line
    assert lock.digest(LOCK) == lock.digest(lock.decode(lock.encode(LOCK), "x"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'{"format": 1}',
        lock.encode(LOCK).replace(b"six", b"six; rm -rf /"),
        lock.encode(LOCK).replace(b"1.17.0", b"$(id)"),
        lock.encode(LOCK).replace(b"debian:12", b"debian\\nRUN id"),
        lock.encode(LOCK).replace(b'"python"', b'"snake"'),
        b"\xff",
    ],
)
def test_what_is_no_lock_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="x"):
        lock.decode(data, "x")


def test_another_format_is_named() -> None:
    with pytest.raises(InputError, match="format 2"):
        lock.decode(b'{"format": 2, "more": 1}', "x")


@given(st.binary())
def test_any_bytes_are_a_lock_or_one_error(data: bytes) -> None:
    with pytest.raises(InputError):
        lock.decode(data, "x")


def test_the_recipes_hash_is_of_what_makes_the_image() -> None:
    plain = lock.recipe_hash(Recipe(), {})
    same = (
        Recipe(name="x"), Recipe(gpus="1"), Recipe(ports=("1:2",)), Recipe(env={"A": "b"}), Recipe(volumes=("a:b",)),
        Recipe(user=User(uid=5)),
    )  # fmt: skip
    assert {lock.recipe_hash(each, {}) for each in same} == {plain}
    others = (
        Recipe(base="x"), Recipe(run=("a",)), Recipe(run=(Step(command="a", gpu=True),)), Recipe(cuda="12.8"),
        Recipe(services={"jupyter": None}), Recipe(services={"jupyter": Service(version="4")}), Recipe(args={"A": "b"}),
        Recipe(user=User(sudo=True)), Recipe(display="vnc"), Recipe(framework="jax"),
    )  # fmt: skip
    assert len({plain, *(lock.recipe_hash(each, {}) for each in others)}) == len(others) + 1
    assert lock.recipe_hash(Recipe(), {"r.txt": b"a"}) != lock.recipe_hash(Recipe(), {"r.txt": b"b"})
    assert lock.recipe_hash(Recipe(run=("a",)), {}) == lock.recipe_hash(Recipe(run=(Step(command="a"),)), {})
