"""What fits a machine: the version rules and the tables, case by case."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpudock.env.choose import choice, tables
from gpudock.env.choose.choice import Choice
from gpudock.env.choose.machine import Machine
from gpudock.env.recipe import Recipe
from gpudock.errors import RefusedError

TABLES = tables.load(())
P100, V100, T4, A100, RTX3090 = "6.0", "7.0", "7.5", "8.0", "8.6"
RTX4090, H200, B200, RTX5090 = "8.9", "9.0", "10.0", "12.0"


def machine(driver: str, *capabilities: str, architecture: str = "x86_64") -> Machine:
    return Machine(driver, tuple((f"GPU {each}", each) for each in capabilities), architecture)


def recipe(framework: str = "", version: str = "", cuda: str = "auto", python: str = "", base: str = "") -> Recipe:
    told: str | dict[str, str | None] | None = {framework: version} if version else framework or None
    return Recipe(framework=told, cuda=cuda, python_version=python or None, base=base)


def chosen(wanted: Recipe, on: Machine) -> Choice:
    return choice.choose(wanted, on, TABLES)


@pytest.mark.parametrize(
    ("wanted", "on", "framework", "cuda"),
    [
        (recipe("pytorch"), machine("580.159.04", H200), "pytorch 2.14", "13.0"),
        (recipe("pytorch"), machine("595.45.04", H200), "pytorch 2.14", "13.0"),  # 13.2 too: the table's order
        (recipe("pytorch"), machine("570.26", H200), "pytorch 2.14", "12.6"),  # 13 needs 580
        (recipe("pytorch"), machine("535.54.03", A100), "pytorch 2.14", "12.6"),  # minor version compatibility
        (recipe("pytorch"), machine("470.82.01", A100), "pytorch 2.7", "11.8"),  # the last one for CUDA 11
        (recipe("pytorch"), machine("580.65.06", V100), "pytorch 2.14", "12.6"),  # CUDA 13 has no Volta
        (recipe("pytorch"), machine("580.65.06", P100), "pytorch 2.14", "12.6"),
        (recipe("pytorch"), machine("580.65.06", V100, H200), "pytorch 2.14", "12.6"),  # each GPU counts
        (recipe("pytorch"), machine("580.65.06", RTX5090), "pytorch 2.14", "13.0"),
        (recipe("pytorch"), machine("570.26", RTX5090), "pytorch 2.11", "12.8"),  # 12.6 has no Blackwell
        (recipe("pytorch"), machine("580.65.06", RTX4090), "pytorch 2.14", "13.0"),  # runs code for 8.6
        (recipe("pytorch", "2.10"), machine("580.65.06", H200), "pytorch 2.10", "12.8"),
        (recipe("pytorch", "2.10"), machine("560.28.03", H200), "pytorch 2.10", "12.6"),  # with all features
        (recipe("pytorch", "2.10", "13.0"), machine("580.65.06", H200), "pytorch 2.10", "13.0"),
        (recipe("pytorch", "2.8", "12.6"), machine("580.65.06", H200), "pytorch 2.8", "12.6"),
        (recipe("pytorch", "2.7"), machine("570.26", RTX5090), "pytorch 2.7", "12.8"),  # experimental, the only one
        (recipe("pytorch", "2.3"), machine("535.54.03", A100), "pytorch 2.3", "11.8"),
        (recipe("pytorch", "2.0"), machine("535.54.03", H200), "pytorch 2.0", "11.8"),  # 11.7 has no Hopper
        (recipe("pytorch", "2.13.0"), machine("580.65.06", T4), "pytorch 2.13.0", "13.0"),
        (recipe("pytorch", python="3.8"), machine("535.54.03", A100), "pytorch 2.4", "12.1"),
        (recipe("pytorch"), machine("580.65.06", H200, architecture="aarch64"), "pytorch 2.14", "13.0"),
        (recipe("pytorch", "2.14", "12.6"), machine("580.65.06", H200, architecture="aarch64"), "pytorch 2.14", "12.6"),
        (recipe("pytorch"), machine(""), "pytorch 2.14", "13.0"),  # nothing is known: the newest
        (recipe("pytorch", cuda="none"), machine("470.82.01", P100), "pytorch", ""),
        (recipe("tensorflow"), machine("535.54.03", A100), "tensorflow 2.21", "12.5"),
        (recipe("tensorflow"), machine("470.82.01", A100), "tensorflow 2.14", "11.8"),
        (recipe("tensorflow", "2.15"), machine("525.60.13", V100), "tensorflow 2.15", "12.2"),
        (recipe("jax"), machine("580.65.06", H200), "jax", "13.0"),
        (recipe("jax"), machine("550.54.14", H200), "jax", "12.9"),
        (recipe("jax", cuda="12.3"), machine("580.65.06", H200), "jax", "12.9"),  # jax[cuda12]
        (recipe("jax", "0.7.1"), machine("580.65.06", V100), "jax 0.7.1", "12.9"),
        (recipe(cuda="12.8"), machine("525.60.13", A100), "", "12.8"),
        (recipe(base="nvidia/cuda:12.4.1-devel-ubuntu22.04"), machine("535.54.03", A100), "", "12.4"),
        (recipe(base="debian:12"), machine("535.54.03", A100), "", ""),
        (recipe("pytorch", "2.99"), machine("580.65.06", H200), "pytorch 2.99", "13.0"),  # newer than the tables
    ],
)
def test_what_is_chosen(wanted: Recipe, on: Machine, framework: str, cuda: str) -> None:
    found = chosen(wanted, on)
    assert (found.framework, found.cuda) == (framework, cuda)


@pytest.mark.parametrize(
    ("wanted", "on", "words"),
    [
        (
            recipe("pytorch", "2.13"),
            machine("470.82.01", A100),
            ("525.60.13", "470.82.01", "pytorch 2.7 with CUDA 11.8"),
        ),
        (recipe("pytorch", "2.13", "13.0"), machine("580.65.06", V100), ("7.0", "pytorch 2.13 with CUDA 12.6")),
        (recipe(cuda="13.0"), machine("580.65.06", V100), ("compute capability 7.0", "7.5", "CUDA 12.9")),
        (recipe(cuda="13.0"), machine("570.26", H200), ("580", "570.26", "CUDA 12.8, 12.6")),
        (recipe(cuda="12.0"), machine("520.61.05", A100), ("525.60.13", "CUDA 11.8")),
        (recipe(cuda="11.8"), machine("580.65.06", RTX5090), ("since 12.8",)),
        (recipe(cuda="11.7"), machine("535.54.03", H200), ("since 11.8",)),
        (recipe(cuda="12.4"), machine("580.65.06", B200), ("since 12.8", "possible here: CUDA 13.0")),
        (recipe(cuda="12.1"), machine("535.54.03", "3.7"), ("from 5.0 on", "CUDA 11.8")),
        (recipe("pytorch", "2.14", "12.6"), machine("580.65.06", RTX5090), ("12.0", "pytorch 2.14 with CUDA 13.0")),
        (recipe("pytorch", "2.6"), machine("570.26", B200), ("10.0", "pytorch 2.7 with CUDA 12.8")),
        (recipe("pytorch", "1.13"), machine("535.54.03", H200), ("9.0", "pytorch 2.0 with CUDA 11.8")),
        (recipe("pytorch", "2.12", "13.0"), machine("580.65.06", P100, H200), ("6.0", "pytorch 2.12 with CUDA 12.6")),
        (recipe("pytorch", "2.12", "12.8"), machine("580.65.06", H200), ("comes with CUDA 12.6, 13.0, 13.2",)),
        (recipe("pytorch", "2.14"), machine("440.33", T4), ("needs another GPU or a newer driver",)),
        (recipe("pytorch", "2.14", python="3.9"), machine("580.65.06", H200), ("3.10 to 3.15", "pytorch 2.8")),
        (recipe("pytorch", "2.14", "12.6"), machine("580.65.06", V100, architecture="aarch64"), ("7.0",)),
        (recipe("tensorflow", "2.21"), machine("470.82.01", A100), ("525.60.13", "tensorflow 2.14 with CUDA 11.8")),
        (recipe("tensorflow", cuda="13.0"), machine("580.65.06", H200), ("comes with CUDA",)),
        (recipe("jax"), machine("470.82.01", A100), ("525.60.13",)),
        (recipe("jax", cuda="13.0"), machine("570.26", H200), ("580", "jax 0.11 with CUDA 12.9")),
        (recipe("jax", cuda="13.0"), machine("580.65.06", V100), ("7.0",)),
        (recipe(base="docker.io/nvidia/cuda:13.0.1-base-ubuntu24.04"), machine("535.54.03", A100), ("580",)),
        (recipe("pytorch", "2.14", "13.2"), machine("580.65.06", P100), ("6.0", "pytorch 2.14 with CUDA 12.6")),
        (recipe("pytorch", "2.9", "13.0"), machine("550.54.14", H200), ("580", "pytorch 2.9 with CUDA 12.8")),
        (recipe("pytorch", "2.4"), machine("580.65.06", RTX5090), ("12.0", "pytorch 2.7 with CUDA 12.8")),
        (recipe("pytorch", "2.0", "11.7"), machine("535.54.03", H200), ("9.0", "pytorch 2.0 with CUDA 11.8")),
        (recipe("pytorch", "2.14"), machine("580.65.06", "3.7"), ("3.7", "pytorch 2.0 with CUDA 11.8")),
        (recipe("pytorch", "2.13"), machine("580.65.06", V100, RTX5090), ("7.0", "12.0")),  # none has code for both
        (recipe("tensorflow", "2.14"), machine("580.65.06", B200), ("since 12.8",)),
        (recipe(cuda="11.8"), machine("418.39", T4), ("450.80.02", "418.39")),
        (recipe(base="nvidia/cuda:12.9.0-devel-ubuntu22.04"), machine("470.82.01", A100), ("525.60.13", "CUDA 11")),
    ],
)
def test_what_cannot_run_is_refused_with_the_nearest_that_can(
    wanted: Recipe, on: Machine, words: tuple[str, ...]
) -> None:
    with pytest.raises(RefusedError) as caught:
        chosen(wanted, on)
    for word in words:
        assert word in str(caught.value)


def test_wheels_of_another_cuda_come_from_their_own_index() -> None:
    usual = chosen(recipe("pytorch", "2.14"), machine("580.65.06", H200))
    assert usual.requirements == ("torch==2.14.*",)
    assert usual.pip == ()
    other = chosen(recipe("pytorch", "2.14"), machine("535.54.03", H200))
    assert other.pip == ("--extra-index-url=https://download.pytorch.org/whl/cu126",)
    assert other.driver == "525.60.13"
    assert "9.0" in other.architectures
    assert "all its features from 560.28.03" in other.notes[0]
    assert chosen(recipe("tensorflow"), machine("580.65.06")).requirements == ("tensorflow[and-cuda]==2.21.*",)
    assert chosen(recipe("jax"), machine("550.54.14")).requirements == ("jax[cuda12]",)


def test_what_is_not_known_is_said() -> None:
    assert "no driver is loaded" in chosen(recipe("pytorch"), machine("")).notes[0]
    assert "not in the tables" in chosen(recipe("pytorch", "2.99"), machine("580.65.06")).notes[0]
    assert "experimental" in chosen(recipe("pytorch", "2.7"), machine("570.26", RTX5090)).notes[0]


def test_python_fits_the_framework() -> None:
    assert chosen(recipe("pytorch"), machine("580.65.06")).python == "3.12"
    assert chosen(recipe("pytorch", "2.3"), machine("580.65.06")).python == "3.11"


def outcome(wanted: Recipe, on: Machine) -> Choice | RefusedError:
    try:
        return chosen(wanted, on)
    except RefusedError as error:
        return error


WISHES = st.builds(
    recipe,
    st.sampled_from(["pytorch", "tensorflow", "jax"]),
    st.sampled_from(["", "1", "1.0", "2.9.1", "2.14", "99.0"]),
    st.sampled_from(["auto", "none", "10.2", "12.8.1", "13.0", "99.9"]),
    st.sampled_from(["", "3.7", "3.12", "4.0"]),
)
MACHINES = st.builds(
    lambda driver, gpus: machine(driver, *gpus),
    st.sampled_from(["", "0", "470.82.01", "580.159.04", "none"]),
    st.lists(st.sampled_from(["3.5", "7.0", "8.9", "12.1", "99.0"]), max_size=3),
)


@given(WISHES, MACHINES)
def test_everything_is_chosen_or_refused_with_a_reason(wanted: Recipe, on: Machine) -> None:
    found = outcome(wanted, on)
    if isinstance(found, RefusedError):
        assert found.why
        assert found.mend
    else:
        assert bool(found.cuda) is (wanted.cuda != "none")
        assert bool(found.driver) is bool(found.cuda)
