"""What --gpus, NVIDIA_VISIBLE_DEVICES and their like ask for."""

import pytest

from gpudock.errors import UsageError
from gpudock.plan.request import (
    ALL,
    NONE,
    VOID,
    Request,
    flag,
    parse_bool,
    parse_gpus,
    parse_imex,
    parse_visible_devices,
)

UUID = "GPU-8f3c1a2b-0d4e-4f5a-9b6c-7d8e9f0a1b2c"


@pytest.mark.parametrize(
    ("text", "devices", "capabilities"),
    [
        # docker's own table
        ("all", ALL, None),
        ("-1", ALL, None),
        ("count=all", ALL, None),
        ("count=-1", ALL, None),
        ('driver=nvidia,"capabilities=compute,utility","options=foo=bar,baz=qux"', 1, ("compute", "utility")),
        ('1,driver=nvidia,"capabilities=compute,utility","options=foo=bar,baz=qux"', 1, ("compute", "utility")),
        ('driver=nvidia,"capabilities=compute,utility","options=foo=bar,baz=qux",count=1', 1, ("compute", "utility")),
        ('all,"options=""a=1,2"",b=3"', ALL, None),
        # counts
        ("2", 2, None),
        ("+2", 2, None),
        ("02", 2, None),
        ("count=2", 2, None),
        ("driver=nvidia", 1, None),
        ("0", NONE, None),
        ("none", NONE, None),
        # devices
        ("device=0", ("0",), None),
        ('"device=0,1"', ("0", "1"), None),
        ("device=0:1", ("0:1",), None),
        (f"device={UUID}", (UUID,), None),
        ('"device=0","capabilities=compute,utility"', ("0",), ("compute", "utility")),
        ("device=nvidia.com/gpu=0", ("0",), None),
        ("driver=cdi,device=nvidia.com/gpu=all", ALL, None),
        ("device=all", ALL, None),
        # what docker refuses though it is plain what was meant
        ("device=0,1", ("0", "1"), None),
        (f"device=0,{UUID},0:1", ("0", UUID, "0:1"), None),
        ("device=nvidia.com/gpu=0,nvidia.com/gpu=1", ("0", "1"), None),
        ("device=0, 1", ("0", "1"), None),
        ("device=0,1,capabilities=utility", ("0", "1"), ("utility",)),
        ("all,capabilities=compute,utility", ALL, ("compute", "utility")),
        # docker reads a bare number or `all` after capabilities as the count
        ("capabilities=utility,2", 2, ("utility",)),
        ("capabilities=utility,all", ALL, ("utility",)),
        # capabilities
        ("all,capabilities=gpu", ALL, None),
        ('all,"capabilities=gpu,nvidia,video,compute"', ALL, ("compute", "video")),
        ('all,"capabilities=all"', ALL, ("compute", "compat32", "graphics", "utility", "video", "display", "ngx")),
    ],
)
def test_gpus(text: str, devices: object, capabilities: object) -> None:
    request = parse_gpus(text)
    assert (request.devices, request.capabilities, request.source) == (devices, capabilities, "--gpus")
    assert parse_gpus(flag(request)) == request


@pytest.mark.parametrize(
    ("text", "offence"),
    [
        ("", "''"),
        ("al", "al"),
        ("count=invalid-integer", "invalid-integer"),
        ("-2", "-2"),
        ("1_000", "1_000"),
        ("99999999999999999999", "99999999"),
        ("0,1", "more than one count"),
        ("all,all", "more than one count"),
        (UUID, UUID),
        ("device=0,count=2", "at once"),
        ("2,device=0", "at once"),
        ('"device=0","device=1"', "more than one device"),
        ("device=", "no device"),
        ("device=abc", "abc"),
        ("device=0,vendor=x", "vendor"),
        ("driver=amd", "amd"),
        ("gpus=all", "gpus"),
        ("all,capabilities=tpu", "tpu"),
        ('device="0,1"', 'device="0'),
        ('"device=0,1', "closing quote"),
        ("device=x:", "'x:' in --gpus is not the name of a GPU"),
        ('"device=0"1', "comma"),
        ('all,options=a"b', "a"),
        ("device=none,0", "none"),
        ("\x1b[31m", "\\x1b"),
    ],
)
def test_gpus_not_understood(text: str, offence: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_gpus(text)
    assert offence in caught.value.what + caught.value.why
    assert caught.value.mend
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("text", ["all", "2", "device=0,1", 'all,"capabilities=compute,utility"'])
def test_examples_in_the_error_work(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_gpus("nonsense")
    assert f"--gpus {text}" in caught.value.mend.replace("'", "")
    assert parse_gpus(text).source == "--gpus"


@pytest.mark.parametrize(
    ("text", "devices"),
    [
        ("", VOID),
        (" , ", VOID),
        ("void", VOID),
        ("void,void", VOID),
        ("none", NONE),
        ("all", ALL),
        ("all,0", ALL),
        ("0", ("0",)),
        ("1,0", ("1", "0")),
        ("0,0", ("0",)),
        ("0,00", ("0",)),
        (f"{UUID},{UUID.lower()},{UUID.upper()}", (UUID,)),
        (" 0 , 1,", ("0", "1")),
        (UUID, (UUID,)),
        ("GPU-8f3c", ("GPU-8f3c",)),
        ("8F3C", ("8f3c",)),
        ("0:1", ("0:1",)),
        ("MIG-8f3c1a2b-0d4e-4f5a-9b6c-7d8e9f0a1b2c", ("MIG-8f3c1a2b-0d4e-4f5a-9b6c-7d8e9f0a1b2c",)),
        (f"MIG-{UUID}/1/0", (f"MIG-{UUID}/1/0",)),
        ("nvidia.com/gpu=0", ("0",)),
        ("runtime.nvidia.com/gpu=0,0", ("0",)),
        ("nvidia.com/gpu=all", ALL),
        ("nvidia.com/gpu=gpu0,nvidia.com/gpu=mig0:1", ("0", "0:1")),
        ("0000:06:00.0", ("00000000:06:00.0",)),
        ("06:00.0,00000000:06:00.0", ("00000000:06:00.0",)),
    ],
)
def test_visible_devices(text: str, devices: object) -> None:
    assert parse_visible_devices(text) == Request(devices, None, "NVIDIA_VISIBLE_DEVICES")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "offence"),
    [
        ("none,all", "none"),
        ("all,none", "none"),
        ("void,0", "void"),
        ("0,void", "void"),
        ("none,0", "none"),
        ("ALL", "ALL"),
        ("GPU-", "GPU-"),
        ("GPU-8f3", "GPU-8f3"),
        ("GPU-xyzw", "GPU-xyzw"),
        ("12-34", "12-34"),
        ("0:", "0:"),
        ("0:1:2", "0:1:2"),
        ("-1", "-1"),
        ("٣", "٣"),
        ("vendor.com/net=eth0", "vendor.com/net=eth0"),
        ("nvidia.com/gds=all", "nvidia.com/gds=all"),
        (f"MIG-{UUID}/1", "MIG-GPU"),
        ("0000:06:00.", "0000:06:00."),
    ],
)
def test_visible_devices_refused(text: str, offence: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_visible_devices(text, "DOCKER_RESOURCE_GPU")
    assert offence in caught.value.what
    assert "DOCKER_RESOURCE_GPU" in caught.value.what
    assert caught.value.mend


@pytest.mark.parametrize(
    ("text", "channels"),
    [
        ("", ()),
        ("0", ("0",)),
        (" 1, 0,1", ("1", "0")),
        ("all", ("all",)),
        ("0,all", ("all",)),
        ("1048575", ("1048575",)),
    ],
)
def test_imex(text: str, channels: tuple[str, ...]) -> None:
    assert parse_imex(text) == channels


@pytest.mark.parametrize("text", ["1048576", "-1", "x", "0;1", "9" * 5000])
def test_imex_refused(text: str) -> None:
    with pytest.raises(UsageError, match="NVIDIA_IMEX_CHANNELS"):
        parse_imex(text)


def test_booleans_are_those_of_go() -> None:
    assert [parse_bool(text, "X") for text in ("1", "t", "T", "TRUE", "true", "True")] == [True] * 6
    assert [parse_bool(text, "X") for text in ("0", "f", "F", "FALSE", "false", "False")] == [False] * 6
    for text in ("", "yes", "tRUE", "2"):
        with pytest.raises(UsageError, match="X="):
            parse_bool(text, "X")


def test_requests_are_values() -> None:
    request = Request(ALL)
    assert request == Request("all")
    assert request != Request("all", ("compute",))
    assert len({request, Request(ALL)}) == 1
    with pytest.raises(AttributeError):
        request.devices = NONE
    assert repr(request) == "Request(capabilities=None, devices='all', source='--gpus')"
