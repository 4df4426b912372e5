"""The REST API, byte for byte as nvidia-docker 1 answered for the three GPUs of the conformance cases."""

import base64
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gpudock.compat import rest_source
from gpudock.compat.plugin_http import Reply, Request
from gpudock.compat.rest_api import RestApi
from gpudock.compat.rest_source import Source
from gpudock.errors import HostError
from gpudock.plan.document import Plan
from unit.compat import fixture_gpus, v1_machine
from unit.compat.fixture_gpus import DATA, Driver

CASES = [case for case in json.loads((DATA / "cases.json").read_text()) if case["system"] == "rest"]
ALL = (DATA / "docker_cli.out").read_text()
CONTROL = "--volume-driver=nvidia-docker --volume=nvidia_driver_367.57:/usr/local/nvidia:ro --device=/dev/nvidiactl --device=/dev/nvidia-uvm"


class Rest:
    def __init__(
        self, driver: Driver | None = None, *, there: bool = True, loaded: bool = False, made: Plan | None = None
    ) -> None:
        self.made = made
        self.driver = driver or Driver()
        self.there = there
        self.log: list[str] = []
        self.api = RestApi(Source(self.plan, lambda: loaded, self.driver, self.log.append), self.log.append, local=True)

    def plan(self) -> Plan:
        if not self.there:
            raise HostError("No NVIDIA driver was found.", mend="install it")
        return self.made or fixture_gpus.plan("/tree")

    def get(self, target: str, method: str = "GET", host: str = "localhost:3476") -> Reply:
        path, _, query = target.partition("?")
        return self.api.answer(Request(method, path, query, {"host": host}, b""))


@pytest.fixture(autouse=True)
def turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUDOCK_RUN_DIR", str(tmp_path))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_conformance(case: dict[str, Any]) -> None:
    expected, request = case["expect"], case["request"]
    reply = Rest().get(request["path"], request["method"])
    headers = {"Content-Type": reply.kind, "Content-Length": str(len(reply.body)), **dict(reply.headers)}
    assert reply.status == expected["status"]
    assert {name: headers.get(name) for name in expected["headers"]} == expected["headers"]
    if "body_file" in expected:
        assert reply.body == (DATA / expected["body_file"]).read_bytes()
    if request["method"] != "HEAD" and "body" in expected:
        assert reply.body.decode() == expected["body"]
    for text in expected.get("body_contains", ()):
        assert text in reply.body.decode()
    if "decoded" in expected:
        packed = reply.body.decode().partition(expected["decoded"]["field"])[2].partition(" ")[0]
        data = zlib.decompress(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
        assert data == (DATA / expected["decoded"]["equals_file"]).read_bytes()


@pytest.mark.parametrize(
    "path", ["/docker/cli", "/v1.0/docker/cli?dev=*&vol=*", "/docker/cli?dev=&vol=", "/docker/cli?x=y"]
)
def test_everything(path: str) -> None:
    assert Rest().get(path).body.decode() == ALL


@pytest.mark.parametrize(
    ("query", "gpus"),
    [
        ("dev=0", [1]),
        ("dev=%2B1", [0]),
        ("dev=00", [1]),
        ("dev=2+0", [2, 1]),
        ("dev=2%200%202", [2, 1]),
        ("dev=GPU-", [1]),
        ("dev=GPU-b78+0", [0, 1]),
    ],
)
def test_devices_by_index_and_uuid(query: str, gpus: Sequence[int]) -> None:
    words = " ".join([CONTROL, *(f"--device=/dev/nvidia{minor}" for minor in gpus)])
    assert Rest().get(f"/docker/cli?{query}").body.decode() == words


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("dev=9", "invalid device: 9"),
        ("dev=0,1", "invalid device: 0,1"),
        ("dev=-1", "invalid device: -1"),
        ("dev=GPU-zzz", "invalid device: GPU-zzz"),
        ("dev=0++1", "invalid device: "),
        ("dev=" + "1" * 5000, "invalid device: " + "1" * 5000),
        ("dev=%D9%A1", "invalid device: \u0661"),
        ("vol=foo", "invalid volume: foo"),
        ("vol=nvidia_driver+../x", "invalid volume: ../x"),
        ("&".join(f"a{n}=b" for n in range(200)), "400 Bad Request"),
    ],
)
@pytest.mark.parametrize("path", ["/docker/cli", "/docker/cli/json"])
def test_what_is_not_there(path: str, query: str, text: str) -> None:
    reply = Rest().get(f"{path}?{query}")
    assert (reply.status, reply.body.decode()) == (400, text + "\n")
    assert ("X-Content-Type-Options", "nosniff") in reply.headers


def test_mig_devices_which_it_did_not_know() -> None:
    """As nvidia-docker of mode 1: a GPU that is divided is not had whole, and all are its MIG devices."""
    made = v1_machine.plan(mig={2: 2})
    own = [[node["path"] for node in each["nodes"]] for each in made["gpus"][2]["instances"]]
    rest = Rest(made=made)
    every = json.loads(rest.get("/docker/cli/json").body)["Devices"]
    assert every[2:] == [*("/dev/nvidia1", "/dev/nvidia0"), *dict.fromkeys(own[0] + own[1])]
    assert json.loads(rest.get("/docker/cli/json?dev=2:1").body)["Devices"][2:] == own[1]
    assert rest.get("/docker/cli?dev=0+2:1").body.decode().count("--device=") == 2 + 1 + len(own[1])
    whole = rest.get("/docker/cli?dev=2")
    assert whole.status == 400
    assert b"cannot be had whole" in whole.body
    assert rest.get("/docker/cli?dev=2:7").status == 400
    assert rest.get("/docker/cli?dev=2:x").body == b"invalid device: 2:x\n"


def test_a_gpu_that_is_not_divided_yet_is_nobodys() -> None:
    made = v1_machine.plan(mig={0: 0, 1: 0, 2: 0})
    control = ["/dev/nvidiactl", "/dev/nvidia-uvm"]
    assert json.loads(Rest(made=made).get("/docker/cli/json").body)["Devices"] == control


def test_wsl_has_one_node_for_all() -> None:
    made = v1_machine.plan()
    for variant in made["variants"].values():
        variant["nodes"] = [v1_machine.node("/dev/dxg")]
    for gpu in made["gpus"]:
        gpu["nodes"] = []
    assert json.loads(Rest(made=made).get("/docker/cli/json").body)["Devices"] == ["/dev/dxg"]


def test_without_gpus_the_lists_are_empty() -> None:
    rest = Rest(there=False)
    assert rest.get("/gpu/info/json").body == b'{"Version":{"Driver":null,"CUDA":null},"Devices":[]}\n'
    assert rest.get("/gpu/status/json").body == b'{"Devices":[]}\n'
    assert rest.get("/gpu/info").body == b"\nDriver version:          N/A\nSupported CUDA version:  N/A\n\n"
    assert rest.get("/docker/cli/json").body == b'{"VolumeDriver":"nvidia-docker","Volumes":[],"Devices":[]}\n'
    assert rest.get("/docker/cli").body == b""
    assert rest.get("/docker/cli?dev=0").body == b"invalid device: 0\n"
    assert rest.get("/mesos/cli").body.endswith(b"--resources=gpus:{}")
    assert rest.log == ["Error: No NVIDIA driver was found. To mend it: install it"]  # once


@pytest.mark.parametrize("path", ["/gpu/info", "/gpu/status/json", "/docker/cli", "/docker/cli/json", "/mesos/cli"])
def test_gpus_that_are_not_set_up_are_no_empty_list(path: str) -> None:
    """After a driver upgrade, until gpudock refresh: docker run $(curl …/docker/cli) would start without a GPU."""
    rest = Rest(there=False, loaded=True)
    reply = rest.get(path)
    assert (reply.status, reply.body) == (500, b"internal error, check logs for details\n")
    assert "No NVIDIA driver was found. To mend it: install it" in rest.log[-1]


def test_a_driver_that_does_not_answer_hides_only_what_it_would_say() -> None:
    rest = Rest(Driver("limits", "cuda", "status"))
    values = json.loads(rest.get("/gpu/info/json").body)
    assert values["Version"] == {"Driver": "367.57", "CUDA": "8.0"}
    assert [device["Power"] for device in values["Devices"]] == [None] * 3
    assert values["Devices"][0]["Model"] == "Tesla K80"
    for _ in range(3):
        assert rest.get("/gpu/status/json").body == b"internal error, check logs for details\n"
    assert rest.driver.asked.count("status") == 1
    assert rest.get("/docker/cli").body.decode() == ALL


def test_a_driver_that_answers_again_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest_source, "AGAIN", 0.0)
    rest = Rest(Driver("limits"))
    assert json.loads(rest.get("/gpu/info/json").body)["Devices"][0]["Power"] is None
    rest.driver.broken.clear()
    assert json.loads(rest.get("/gpu/info/json").body)["Devices"][0]["Power"] == 149


def test_the_driver_is_asked_seldom() -> None:
    rest = Rest()
    for _ in range(20):
        for path in ("/gpu/info", "/gpu/status", "/mesos/cli", "/docker/cli"):
            assert rest.get(path).status == 200
    assert sorted(rest.driver.asked) == ["cuda", "limits", "status"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *(
            ("localhost", 200),
            ("127.0.0.1:3476", 200),
            ("[::1]:3476", 200),
            ("plugin", 200),
            ("", 200),
            ("10.0.0.1", 200),
        ),
        *(("evil.example", 403), ("evil.example:3476", 403), ("127.0.0.1.nip.example", 403), ("[evil.example]", 403)),
    ],
)
def test_web_pages_cannot_point_their_name_here(host: str, status: int) -> None:
    assert Rest().get("/gpu/info/json", host=host).status == status
