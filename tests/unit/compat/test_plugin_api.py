"""The volume-driver protocol, case by case as nvidia-docker 1 answered."""

import json
from pathlib import Path
from typing import Any

import pytest

from gpudock.compat.plugin_api import ACCEPTED, KIND, PluginApi
from gpudock.compat.plugin_http import Reply, Request
from gpudock.compat.volume import Volumes
from gpudock.errors import HostError
from gpudock.plan.document import Plan
from unit.compat import fixture_gpus
from unit.compat.fixture_gpus import DATA, VERSION

NAME = f"nvidia_driver_{VERSION}"
CASES = [case for case in json.loads((DATA / "cases.json").read_text()) if case["system"] == "volume"]


class Plugin:
    def __init__(self, folder: Path) -> None:
        self.tree = fixture_gpus.tree(folder / "tree")
        self.volumes = Volumes(f"{folder}/volumes", self.plan)
        self.volumes.prepare()
        self.log: list[str] = []
        self.api = PluginApi(self.volumes, self.log.append)
        self.driver: str | None = VERSION

    def plan(self) -> Plan:
        if self.driver is None:
            raise HostError("No NVIDIA driver was found.", mend="install it")
        return fixture_gpus.plan(self.tree, self.driver)

    def send(self, path: str, body: bytes = b"{}", method: str = "POST", accept: str = ACCEPTED[1]) -> Reply:
        return self.api.answer(Request(method, path, "", {"accept": accept}, body))

    def ask(self, call: str, **values: object) -> Any:
        reply = self.send(f"/VolumeDriver.{call}", json.dumps(values).encode())
        assert (reply.status, reply.kind) == (200, KIND)
        return json.loads(reply.body)


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path)


def sent(plugin: Plugin, request: dict[str, Any]) -> Reply:
    body = json.dumps(request["json"]) if "json" in request else request.get("body", "")
    return plugin.send(request["path"], body.encode(), request["method"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_conformance(plugin: Plugin, case: dict[str, Any]) -> None:
    for request in case.get("setup", ()):
        assert sent(plugin, request).status == 200
    reply, expected = sent(plugin, case["request"]), case["expect"]
    folder = plugin.volumes.folder
    assert reply.body.decode() == expected["body"].replace("{volumes_dir}", folder)
    assert (reply.status, reply.kind) == (expected["status"], expected["headers"]["Content-Type"])
    for path in expected.get("absent", ()):
        assert not Path(path.replace("{volumes_dir}", folder)).exists()


def test_activation(plugin: Plugin) -> None:
    assert plugin.send("/Plugin.Activate").body == b'{"Implements":["VolumeDriver"]}\n'
    assert plugin.send("/VolumeDriver.Capabilities").body == b'{"Capabilities":{"Scope":"local"}}\n'
    assert plugin.log == ["Received activate request", "Plugins activated [VolumeDriver]"]


def test_what_is_not_the_protocol_is_refused(plugin: Plugin) -> None:
    assert plugin.send("/VolumeDriver.List", accept="*/*") == Reply(406, b"", None)
    assert plugin.log == ["Unsupported plugin API */*"]
    for method, path in (("GET", "/VolumeDriver.List"), ("POST", "/VolumeDriver.Nothing"), ("HEAD", "/")):
        reply = plugin.send(path, method=method)
        assert (reply.status, reply.body) == (404, b"404 page not found\n")
    reply = plugin.send("/VolumeDriver.Create", b"notjson")
    assert (reply.status, reply.body) == (500, b"internal error, check logs for details\n")
    assert "not JSON" in plugin.log[-1]
    assert plugin.send("/VolumeDriver.List", accept=ACCEPTED[0]).status == 200


def test_a_volume_is_the_driver(plugin: Plugin) -> None:
    assert plugin.ask("Create", Name=NAME, Opts={"anything": "x"}) == {"Err": None}
    assert plugin.ask("Create", Name=NAME) == {"Err": None}
    folder = Path(plugin.ask("Mount", Name=NAME, ID="x")["Mountpoint"])
    cuda = folder / f"lib64/libcuda.so.{VERSION}"
    assert cuda.read_bytes() == Path(f"{plugin.tree}/lib64/libcuda.so.{VERSION}").read_bytes()
    for name, target in (
        ("libcuda.so.1", "libcuda"),
        ("libcuda.so", "libcuda"),
        ("libGLX_indirect.so.0", "libGLX_nvidia"),
    ):
        assert (folder / "lib64" / name).readlink() == Path(f"{target}.so.{VERSION}")
    assert (folder / "bin/nvidia-smi").stat().st_mode & 0o111
    assert {path.name for path in folder.iterdir()} == {"bin", "lib", "lib64"}


@pytest.mark.parametrize(
    "name",
    [
        *("nvidia_driver_..", "nvidia_driver_.", "nvidia_driver_1..2", "nvidia_driver_/etc", "nvidia_driver_1/../2"),
        *("../nvidia_driver_1.0", "nvidia_driver_1.0\n", "nvidia_driver_1.", "_1", "nvidia_driver_" + "1" * 300, "é_1"),
    ],
)
@pytest.mark.parametrize("call", ["Create", "Remove", "Mount", "Unmount", "Path", "Get"])
def test_names_that_could_lead_elsewhere(plugin: Plugin, call: str, name: str) -> None:
    plugin.ask("Create", Name=NAME)
    assert plugin.ask(call, Name=name, ID="x")["Err"] == f"bad volume format: {name}"[: 19 + 256]
    assert Path(plugin.volumes.folder, "nvidia_driver", VERSION, "lib64/libcuda.so").exists()


def test_a_volume_of_a_starting_container_stays(plugin: Plugin) -> None:
    plugin.ask("Create", Name=NAME)
    plugin.ask("Mount", Name=NAME, ID="one")
    assert plugin.ask("Remove", Name=NAME) == {"Err": f"cannot remove {NAME}: volume is in use"}
    plugin.ask("Unmount", Name=NAME, ID="one")
    assert plugin.ask("Remove", Name=NAME) == {"Err": None}
    assert plugin.ask("List") == {"Volumes": None, "Err": None}


def test_another_driver_needs_no_restart(plugin: Plugin, tmp_path: Path) -> None:
    plugin.ask("Create", Name=NAME)
    plugin.tree, plugin.driver = fixture_gpus.tree(tmp_path / "newer", "580.1"), "580.1"
    assert plugin.ask("Create", Name="nvidia_driver_580.1") == {"Err": None}
    assert [each["Name"] for each in plugin.ask("List")["Volumes"]] == [NAME, "nvidia_driver_580.1"]
    assert plugin.ask("Remove", Name=NAME) == {"Err": None}
    assert plugin.ask("Create", Name=NAME) == {"Err": f"invalid volume version: {NAME}"}


def test_without_a_driver_it_is_said(plugin: Plugin) -> None:
    plugin.driver = None
    assert plugin.ask("Create", Name=NAME)["Err"].startswith("No NVIDIA driver was found.")
    assert plugin.ask("List") == {"Volumes": None, "Err": None}


def test_a_volume_that_cannot_be_made_leaves_nothing(plugin: Plugin) -> None:
    Path(plugin.tree, f"lib64/libcuda.so.{VERSION}").unlink()
    for name in ("libcuda.so", "libcuda.so.1"):
        Path(plugin.tree, "lib64", name).unlink()
    reply = plugin.send("/VolumeDriver.Create", json.dumps({"Name": NAME}).encode())
    assert (reply.status, reply.body) == (500, b"internal error, check logs for details\n")
    assert "holds no libcuda" in plugin.log[-1]
    assert list(Path(plugin.volumes.folder, "nvidia_driver").iterdir()) == []
