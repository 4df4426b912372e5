"""What a container's variables ask for."""

import pytest

from gpudock.errors import UsageError
from gpudock.plan.capabilities import ALL as EVERYTHING
from gpudock.plan.environment import driver_capabilities, from_environment
from gpudock.plan.request import ALL, NONE, VOID

DEFAULT = ("compute", "utility")


@pytest.mark.parametrize(
    ("environment", "devices", "capabilities", "source"),
    [
        ({}, VOID, None, "NVIDIA_VISIBLE_DEVICES"),
        ({"CUDA_VERSION": "9.0"}, ALL, EVERYTHING, "CUDA_VERSION"),
        ({"CUDA_VERSION": "9.0", "NVIDIA_REQUIRE_CUDA": "cuda>=9.0"}, VOID, None, "NVIDIA_VISIBLE_DEVICES"),
        ({"CUDA_VERSION": "9.0", "NVIDIA_VISIBLE_DEVICES": ""}, VOID, None, "NVIDIA_VISIBLE_DEVICES"),
        ({"CUDA_VERSION": "9.0", "NVIDIA_VISIBLE_DEVICES": "0"}, ("0",), EVERYTHING, "NVIDIA_VISIBLE_DEVICES"),
        ({"NVIDIA_VISIBLE_DEVICES": ""}, VOID, None, "NVIDIA_VISIBLE_DEVICES"),
        ({"NVIDIA_VISIBLE_DEVICES": "void"}, VOID, None, "NVIDIA_VISIBLE_DEVICES"),
        ({"NVIDIA_VISIBLE_DEVICES": "void", "NVIDIA_DRIVER_CAPABILITIES": "?"}, VOID, None, "NVIDIA_VISIBLE_DEVICES"),
        ({"NVIDIA_VISIBLE_DEVICES": "none"}, NONE, DEFAULT, "NVIDIA_VISIBLE_DEVICES"),
        ({"NVIDIA_VISIBLE_DEVICES": "1,0"}, ("1", "0"), DEFAULT, "NVIDIA_VISIBLE_DEVICES"),
        ({"NVIDIA_VISIBLE_DEVICES": "all", "DOCKER_RESOURCE_GPU": "1"}, ("1",), DEFAULT, "DOCKER_RESOURCE_GPU"),
        ({"DOCKER_RESOURCE_GPU": "1", "OTHER": "0,1"}, ("1", "0"), DEFAULT, "DOCKER_RESOURCE_GPU,OTHER"),
        ({"NVIDIA_VISIBLE_DEVICES": "all", "OTHER": ""}, VOID, None, "OTHER"),
        ({"OTHER": "", "CUDA_VERSION": "9.0"}, VOID, None, "OTHER"),
    ],
)
def test_requests(environment: dict[str, str], devices: object, capabilities: object, source: str) -> None:
    request, notes = from_environment(environment, swarm=("DOCKER_RESOURCE_GPU", "OTHER"))
    assert (request.devices, request.capabilities, request.source) == (devices, capabilities, source)
    assert notes == ()


def test_swarm_variables_count_only_when_named() -> None:
    request, _ = from_environment({"NVIDIA_VISIBLE_DEVICES": "all", "DOCKER_RESOURCE_GPU": "1"})
    assert request.devices == ALL


@pytest.mark.parametrize(
    ("environment", "capabilities"),
    [
        ({}, DEFAULT),
        ({"NVIDIA_DRIVER_CAPABILITIES": ""}, DEFAULT),
        ({"NVIDIA_DRIVER_CAPABILITIES": "utility"}, ("utility",)),
        ({"NVIDIA_DRIVER_CAPABILITIES": "utility, compute"}, DEFAULT),
        ({"NVIDIA_DRIVER_CAPABILITIES": "all"}, EVERYTHING),
        ({"CUDA_VERSION": "9.0"}, EVERYTHING),
        ({"CUDA_VERSION": "9.0", "NVIDIA_DRIVER_CAPABILITIES": ""}, DEFAULT),
        ({"CUDA_VERSION": "9.0", "NVIDIA_REQUIRE_CUDA": "cuda>=9.0"}, DEFAULT),
    ],
)
def test_capabilities(environment: dict[str, str], capabilities: tuple[str, ...]) -> None:
    assert driver_capabilities(environment) == capabilities


def test_unknown_capabilities_name_the_variable() -> None:
    with pytest.raises(
        UsageError, match="NVIDIA_DRIVER_CAPABILITIES=compute,tpu: Unknown driver capability: tpu"
    ) as caught:
        from_environment({"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,tpu"})
    assert "graphics" in caught.value.mend


def test_variables_that_are_not_accepted_are_said_and_dropped() -> None:
    for environment in (
        {"NVIDIA_VISIBLE_DEVICES": "all"},
        {"NVIDIA_VISIBLE_DEVICES": "rubbish"},
        {"CUDA_VERSION": "9.0"},
    ):
        request, notes = from_environment(environment, accepted=False)
        assert request.devices == VOID
        assert notes == (f"{next(iter(environment))} asks for GPUs and is ignored: the container is not privileged.",)
    for environment in ({}, {"NVIDIA_VISIBLE_DEVICES": ""}, {"NVIDIA_VISIBLE_DEVICES": " void "}):
        assert from_environment(environment, accepted=False)[1] == ()
