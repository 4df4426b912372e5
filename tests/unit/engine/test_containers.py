"""Containers as the engines' `inspect` tells them; the shapes themselves are read from real engines in tests/real."""

import json

import pytest

from gpudock.engine import containers, endpoint
from gpudock.engine.containers import Limits, Port
from gpudock.engine.docker import Docker
from gpudock.errors import EngineError
from gpudock.proc import Result
from unit.recorded import Recorder

DOCKER = Docker("/usr/bin/docker", endpoint.Endpoint(endpoint.LOCAL), {}, "6.1")
ID = "ab" * 32


def told(**more: object) -> str:
    return json.dumps([{"Id": ID, "Name": "/train", "Image": "sha256:cd", "Config": {"Image": "cuda"}, **more}])


def one(**more: object) -> containers.Container:
    recorder = Recorder({("docker", "ps"): f"{ID}\n", ("docker", "container", "inspect"): told(**more)})
    (found,) = containers.listed(DOCKER, recorder, stopped=True, filters=("label=gpudock.env",))
    assert recorder.asked[0].argv[-3:] == ("--all", "--filter", "label=gpudock.env")
    assert recorder.asked[1].argv[-2:] == ("--", ID)
    return found


def test_null_means_empty() -> None:
    nulls = {"Config": {"Image": "cuda", "Env": None, "Labels": None}, "Mounts": None, "HostConfig": {"Devices": None}}
    found = one(**nulls, NetworkSettings={"Ports": None})
    assert (found.name, found.image, found.image_id, found.labels, found.ports) == ("train", "cuda", "cd", {}, ())
    assert found.limits == Limits()


def test_ports_devices_and_limits() -> None:
    bound = {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8889"}], "6006/tcp": None}
    both = {"53/udp": [{"HostIp": "0.0.0.0", "HostPort": "53"}, {"HostIp": "::", "HostPort": "53"}]}
    asked = [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=0"]}, {"Driver": "", "Count": -1, "DeviceIDs": None}]
    host = {"Devices": [{"PathOnHost": "/dev/video0"}], "DeviceRequests": asked, "CpuQuota": 50000, "PidsLimit": None}
    found = one(HostConfig=host, NetworkSettings={"Ports": {**bound, **both}})
    assert found.ports == (Port(53, "udp", "", 53), Port(8888, "tcp", "127.0.0.1", 8889))
    assert (found.devices, found.gpu_request) == (("/dev/video0", "nvidia.com/gpu=0"), True)
    assert found.limits.cpus == 0.5


@pytest.mark.parametrize("said", ["Error: No such container: x", "Error response from daemon: No such container: y\n"])
def test_gone_is_no_error(said: str) -> None:
    recorder = Recorder({("docker", "container", "inspect"): Result(1, "[]\n", said)})
    assert containers.inspected(DOCKER, ["x"], recorder) == ()


@pytest.mark.parametrize("answer", ["[", "{}", '[{"Id": 3}]', "[" * 100_000, '[{"Id": "a"}]'])
def test_an_answer_that_is_not_one_is_said(answer: str) -> None:
    with pytest.raises(EngineError, match="cannot be understood"):
        containers.inspected(DOCKER, ["x"], Recorder({("docker", "container", "inspect"): answer}))


def test_an_engine_that_does_not_answer_is_said() -> None:
    with pytest.raises(EngineError, match="does not list its containers") as caught:
        containers.listed(DOCKER, Recorder({("docker", "ps"): Result(1, "", "Cannot connect to the daemon")}))
    assert "Cannot connect" in caught.value.why
