"""NVIDIA_REQUIRE_*: what an image asks of the host."""

from __future__ import annotations

import os

import pytest

from gpudock.errors import RefusedError
from gpudock.plan.request import Request
from gpudock.plan.requirement import Properties, check, cuda_label, from_environment, properties_of
from gpudock.plan.select import select
from unit.plan.plans import gpu, plan_with

HOST = Properties("12.4", "550.54.15", [("9.0", "Tesla")])
DATA = os.path.join(os.path.dirname(__file__), "..", "..", "data", "cuda-image-env.txt")


def cuda_image() -> dict[str, str]:
    """The environment of a real CUDA 13 image."""
    with open(DATA, encoding="utf-8") as lines:
        return dict(line.rstrip("\n").split("=", 1) for line in lines)


def holds(expression: str, properties: Properties = HOST) -> bool:
    try:
        check({"NVIDIA_REQUIRE_X": expression}, properties)
    except RefusedError as error:
        if "is not met" in error.what:
            return False
        raise
    return True


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("", True),
        ("  ", True),
        (",", True),
        ("cuda>=12.4", True),
        ("cuda>=12.4.0", True),
        ("cuda>=12.4.1", False),
        ("cuda>=12.10", False),
        ("cuda>=9.0", True),
        ("cuda<=12.4", True),
        ("cuda<12.4", False),
        ("cuda>12.3", True),
        ("cuda=12.4", True),
        ("cuda=12.4.0.0", True),
        ("cuda!=12.4", False),
        ("cuda!=12.5", True),
        ("cuda>=99.0", False),
        ("driver>=550,driver<551", True),
        ("driver>=535,driver<536", False),
        ("driver=550.54.15", True),
        ("driver>=550.054.15", True),
        ("driver>=550.", True),
        ("arch>=7.0", True),
        ("arch=10.0", False),
        ("arch<10", True),
        ("brand=tesla", True),
        ("brand=TESLA", True),
        ("brand=geforce", False),
        ("brand!=geforce", True),
        ("BRAND=tesla,Cuda>=12,DRIVER>=1,Arch>=1", True),
        ("cuda>=99 brand=tesla", True),
        ("cuda>=99 brand=tesla,driver>=470,driver<471", False),
        ("cuda>=12.4 brand=tesla,driver>=470,driver<471", True),
        ("cuda>=99  ,, driver>=500,,arch>=1", True),
        ("cuda>=99 ,", False),
        ("cuda>=12 not-looked-at", True),
    ],
)
def test_the_grammar(expression: str, expected: bool) -> None:
    assert holds(expression) is expected


@pytest.mark.parametrize(
    "expression",
    [
        "cuda",
        "cuda>=",
        ">=12",
        "cuda>=abc",
        "cuda>=12.x",
        "cuda>=.5",
        "cuda==12",
        "cuda=>12",
        "cuda!12",
        "cuda<>12",
        "gpumem>=10",
        "brand<tesla",
        "brand>=tesla",
        "brand=",
        "brand==tesla",
        "cuda>=" + "9" * 5000,
        "cuda>=99 cuda",
        "driver>=\u0663",
        "\x1b[2J>=1",
    ],
)
def test_malformed_expressions_are_refused_and_named(expression: str) -> None:
    with pytest.raises(RefusedError, match="NVIDIA_REQUIRE_X cannot be understood") as caught:
        check({"NVIDIA_REQUIRE_X": expression}, HOST)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 300
    assert "NVIDIA_DISABLE_REQUIRE=1" in caught.value.mend


def test_what_the_host_does_not_know_holds() -> None:
    nothing = Properties("", "", [])
    for expression in ("cuda>=99", "driver<1", "arch>=99", "brand=none", "brand!=none"):
        assert holds(expression, nothing)
        assert holds(expression, Properties("", "", [("", "")]))
    assert not holds("cuda>=99", Properties("12.4", "", []))
    assert holds("arch>=99,brand=none", Properties("12.4", "550", []))


def test_every_gpu_must_pass() -> None:
    two = Properties("12.4", "550.54.15", [("9.0", "Tesla"), ("7.5", "GeForce")])
    assert holds("arch>=7.5", two)
    assert not holds("arch>=8.0", two)
    assert not holds("brand=tesla", two)
    assert holds("brand=tesla brand=geforce", two)
    with pytest.raises(RefusedError) as caught:
        check({"NVIDIA_REQUIRE_ARCH": "arch>=8.0"}, two)
    assert "compute capability 7.5" in caught.value.why
    assert "choose another GPU" in caught.value.mend
    assert holds("brand=quadrortx", Properties("", "", [("7.5", "Quadro RTX")]))


def test_every_variable_must_hold() -> None:
    with pytest.raises(RefusedError, match="NVIDIA_REQUIRE_B="):
        check({"NVIDIA_REQUIRE_A": "cuda>=12", "NVIDIA_REQUIRE_B": "cuda>=13"}, HOST)


def test_the_message_says_what_is_needed_what_there_is_and_the_way_out() -> None:
    with pytest.raises(RefusedError) as caught:
        check({"NVIDIA_REQUIRE_CUDA": "cuda>=99.0"}, HOST)
    error = caught.value
    assert error.what == "NVIDIA_REQUIRE_CUDA=cuda>=99.0 is not met: the image needs CUDA at least 99.0."
    assert error.why == "this machine has driver 550.54.15, CUDA 12.4, GPU brand Tesla, compute capability 9.0"
    assert error.mend == (
        "install a newer NVIDIA driver, use an older image, "
        "or start it with -e NVIDIA_DISABLE_REQUIRE=1 to try it all the same"
    )


def test_the_message_for_a_real_cuda_image_is_short() -> None:
    requirements, notes = from_environment(cuda_image())
    assert (list(requirements), notes) == (["NVIDIA_REQUIRE_CUDA"], ())
    assert len(requirements["NVIDIA_REQUIRE_CUDA"]) > 2000
    check(requirements, Properties("12.4", "550.54.15", [("9.0", "Tesla")]))
    check(requirements, Properties("13.0", "580.159.04", [("9.0", "GeForce")]))
    with pytest.raises(RefusedError) as caught:
        check(requirements, Properties("12.3", "545.23.08", [("9.0", "Tesla")]))
    assert caught.value.what.endswith("the image needs CUDA at least 13.0, or a driver of branch 535/550/565/570/575.")
    assert len(str(caught.value)) < 450
    with pytest.raises(RefusedError) as caught:
        check(requirements, Properties("12.2", "535.104.05", [("8.9", "GeForce")]))
    assert caught.value.what.endswith("the image needs CUDA at least 13.0.")


def test_a_driver_that_is_too_new() -> None:
    with pytest.raises(RefusedError, match="driver below 471") as caught:
        check({"NVIDIA_REQUIRE_DRIVER": "driver>=470,driver<471.0"}, HOST)
    assert "newer" not in caught.value.mend


@pytest.mark.parametrize(
    ("environment", "requirements"),
    [
        ({}, {}),
        ({"NVIDIA_REQUIRE_JETPACK": "csv-mounts=all", "NVIDIA_REQUIRE_JETPACK_HOST_MOUNTS": "base-only"}, {}),
        ({"NVIDIA_REQUIRE_CUDA": "cuda>=11.6"}, {"NVIDIA_REQUIRE_CUDA": "cuda>=11.6"}),
        (
            {"NVIDIA_REQUIRE_CUDA": "cuda>=11.6", "NVIDIA_REQUIRE_BRAND": "brand=tesla", "CUDA_VERSION": "12.0"},
            {"NVIDIA_REQUIRE_CUDA": "cuda>=11.6", "NVIDIA_REQUIRE_BRAND": "brand=tesla"},
        ),
        ({"CUDA_VERSION": "11.6"}, {"CUDA_VERSION": "cuda>=11.6"}),
        (
            {"CUDA_VERSION": "9.0.116", "NVIDIA_REQUIRE_BRAND": "brand=tesla"},
            {"CUDA_VERSION": "cuda>=9.0", "NVIDIA_REQUIRE_BRAND": "brand=tesla"},
        ),
        ({"CUDA_VERSION": "8"}, {"CUDA_VERSION": "cuda>=8.0"}),
        ({"CUDA_VERSION": "v11.6"}, {"CUDA_VERSION": "cuda>=11.6"}),
        ({"CUDA_VERSION": ""}, {}),
        ({"NVIDIA_REQUIRE_CUDA": "cuda>=11.6", "NVIDIA_DISABLE_REQUIRE": "true"}, {}),
        ({"CUDA_VERSION": "11.6", "NVIDIA_DISABLE_REQUIRE": "1"}, {}),
        ({"NVIDIA_REQUIRE_X": "cuda>=11", "NVIDIA_DISABLE_REQUIRE": "0"}, {"NVIDIA_REQUIRE_X": "cuda>=11"}),
    ],
)
def test_from_environment(environment: dict[str, str], requirements: dict[str, str]) -> None:
    assert from_environment(environment) == (requirements, ())


@pytest.mark.parametrize("version", ["foo", "foo.5.10", "9.0.116.50", "9.0.116foo", "7.foo", "9..0", "9.", ".5", "-9"])
def test_a_cuda_version_that_is_none_is_said(version: str) -> None:
    requirements, notes = from_environment({"CUDA_VERSION": version})
    assert requirements == {}
    assert version in notes[0]


@pytest.mark.parametrize("name", ["DISABLE_REQUIRE", "DISABLE_REQUIRES", "NVIDIA_DISABLE_REQUIRES"])
def test_the_wrong_name_for_disabling_is_said(name: str) -> None:
    requirements, notes = from_environment({name: "1", "NVIDIA_REQUIRE_CUDA": "cuda>=11.6"})
    assert requirements == {"NVIDIA_REQUIRE_CUDA": "cuda>=11.6"}
    assert notes == (f"{name} does nothing: NVIDIA_DISABLE_REQUIRE=1 is meant.",)


def test_disabling_with_something_else_than_a_boolean_is_said() -> None:
    requirements, notes = from_environment({"NVIDIA_DISABLE_REQUIRE": "yes", "NVIDIA_REQUIRE_CUDA": "cuda>=11.6"})
    assert requirements
    assert "NVIDIA_DISABLE_REQUIRE=yes is neither true nor false" in notes[0]


@pytest.mark.parametrize(
    ("label", "driver", "part"),
    [
        ("12.4.1", "12.4", None),
        ("11.8", "12.4", None),
        ("9.2", "12.4", None),
        ("12.6.0", "12.4", "minor version compatibility"),
        ("13.0.2", "12.4", "forward compatibility"),
        ("12.6", "", None),
        ("unknown", "12.4", None),
        ("", "12.4", None),
    ],
)
def test_cuda_label(label: str, driver: str, part: str | None) -> None:
    warning = cuda_label(label, driver)
    if part is None:
        assert warning is None
    else:
        assert warning is not None
        assert part in warning
        assert label in warning
        assert driver in warning


def test_properties_are_those_of_the_devices_chosen() -> None:
    plan = plan_with(
        gpu(0, arch="9.0", brand="Tesla"), gpu(1, arch="7.5", brand="GeForce"), cuda="12.4", driver="550.1"
    )
    assert properties_of(plan, select(plan, Request(("1",)))) == Properties("12.4", "550.1", [("7.5", "GeForce")])
    assert properties_of(plan, ()) == Properties("12.4", "550.1")
