"""Each problem that validate claims to find, made one at a time in a specification that is right."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from gpudock.cdi import project
from gpudock.cdi.validate import Machine, problems
from unit.cdi.specs import OPTIONS, plan
from unit.machines import VERSION

WHOLE = json.dumps(project.gpus(plan(1), OPTIONS._replace(strategies=("index",), filtered=False)))
NODES = {
    f"/dev/{name}": numbers
    for name, numbers in {
        "nvidia0": (195, 0),
        "nvidiactl": (195, 255),
        "nvidia-modeset": (195, 254),
        "nvidia-uvm": (510, 0),
        "nvidia-uvm-tools": (510, 1),
        "dri/renderD128": (226, 128),
    }.items()
}
FITTING = Machine(exists=lambda _: True, device=NODES.get, readable=True, driver=VERSION)

Document = dict[str, Any]


def unchanged(_: Document) -> None:
    pass


def spec(change: Callable[[Document], object] = unchanged) -> Document:
    document: Document = json.loads(WHOLE)
    change(document)
    return document


def edits(document: Document) -> Document:
    found: Document = document["devices"][0]["containerEdits"]
    return found


def test_our_own_specification_has_no_problem() -> None:
    assert problems(spec()) == []
    assert problems(spec(), FITTING) == []


def test_what_other_tools_write_has_no_problem() -> None:
    """NVIDIA's toolkit: no type, no uid, options and hooks as it has them; null instead of empty lists."""
    document = {
        "cdiVersion": "0.5.0",
        "kind": "nvidia.com/gpu",
        "devices": [
            {
                "name": "0",
                "containerEdits": {
                    "deviceNodes": [
                        {
                            "path": "/dev/nvidia0",
                            "hostPath": "/dev/nvidia0",
                            "major": 195,
                            "fileMode": 438,
                            "permissions": "rwm",
                        }
                    ],
                    "mounts": None,
                },
            }
        ],
        "containerEdits": {
            "env": ["NVIDIA_VISIBLE_DEVICES=void", "NVCT_EMPTY_DEVICE="],
            "hooks": [
                {
                    "hookName": "createContainer",
                    "path": "/usr/bin/nvidia-cdi-hook",
                    "args": ["nvidia-cdi-hook"],
                    "env": ["NVIDIA_CTK_DEBUG=false"],
                }
            ],
            "mounts": [
                {
                    "hostPath": f"/usr/lib/libcuda.so.{VERSION}",
                    "containerPath": "/usr/lib/libcuda.so",
                    "options": ["ro"],
                }
            ],
        },
    }
    assert problems(document, FITTING) == []
    assert problems({**document, "containerEdits": None}, FITTING) == []


FORM: dict[str, tuple[Callable[[Document], object], str]] = {
    "unknown field": (lambda d: d.update(surplus=1), "unknown field 'surplus'"),
    "no version": (lambda d: d.pop("cdiVersion"), "cdiVersion None is not one of"),
    "odd version": (lambda d: d.update(cdiVersion=["0.5.0"]), "cdiVersion ['0.5.0'] is not one of"),
    "no kind": (lambda d: d.pop("kind"), "kind None is not of the form"),
    "kind without class": (lambda d: d.update(kind="nvidia.com"), "kind 'nvidia.com' is not of the form"),
    "kind with a newline": (lambda d: d.update(kind="nvidia.com/gpu\n"), "is not of the form"),
    "no devices": (lambda d: d.pop("devices"), "it defines no device"),
    "empty devices": (lambda d: d.update(devices=[]), "it defines no device"),
    "devices are no list": (lambda d: d.update(devices={"0": 1}), "it defines no device"),
    "device is no mapping": (lambda d: d["devices"].append("0"), "device 2 has no valid name: None"),
    "device without name": (lambda d: d["devices"][0].pop("name"), "device 0 has no valid name: None"),
    "device with an odd name": (lambda d: d["devices"][0].update(name="0="), "device 0 has no valid name: '0='"),
    "device with a newline": (lambda d: d["devices"][0].update(name="0\n"), "device 0 has no valid name"),
    "device twice": (lambda d: d["devices"].append(d["devices"][0]), "device 0 is defined twice"),
    "device with a surplus": (lambda d: d["devices"][0].update(x=1), "device 0: unknown field 'x'"),
    "device without edits": (lambda d: d["devices"][0].pop("containerEdits"), "device 0: containerEdits is missing"),
    "edits are no mapping": (lambda d: d.update(containerEdits=[]), "containerEdits: containerEdits is missing or no mapping"),
    "unknown edit": (lambda d: edits(d).update(mount=[]), "device 0: unknown edit 'mount'"),
    "nodes are no list": (lambda d: edits(d).update(deviceNodes={"a": 1}), "device 0: deviceNodes is no list"),
    "node is no mapping": (lambda d: edits(d).update(deviceNodes=["/dev/a"]), "an entry of deviceNodes is no mapping"),
    "node without path": (lambda d: edits(d)["deviceNodes"][0].pop("path"), "an entry of deviceNodes lacks path"),
    "node with a surplus": (lambda d: edits(d)["deviceNodes"][0].update(mode=1), "unknown field 'mode'"),
    "host path is a number": (lambda d: edits(d)["deviceNodes"][0].update(hostPath=5), "hostPath of an entry of deviceNodes is no text"),
    "major is text": (lambda d: edits(d)["deviceNodes"][0].update(major="195"), "major of an entry of deviceNodes is no number"),
    "mount without host path": (lambda d: edits(d)["mounts"][0].pop("hostPath"), "an entry of mounts lacks hostPath"),
    "mount without container path": (lambda d: edits(d)["mounts"][0].pop("containerPath"), "an entry of mounts lacks containerPath"),
    "options are text": (lambda d: edits(d)["mounts"][0].update(options="ro"), "options of an entry of mounts is no list"),
    "hook without name": (lambda d: d["containerEdits"]["hooks"][0].pop("hookName"), "an entry of hooks lacks hookName"),
    "hook without path": (lambda d: d["containerEdits"]["hooks"][0].pop("path"), "an entry of hooks lacks path"),
    "hook's environment": (lambda d: d["containerEdits"]["hooks"][0].update(env=["PATH"]), "env entry 'PATH' is not NAME=value"),
    "environment is a number": (lambda d: d["containerEdits"].update(env=5), "containerEdits: env is no list"),
    "environment is text": (lambda d: d["containerEdits"].update(env="A=b"), "containerEdits: env is no list"),
    "environment entry": (lambda d: d["containerEdits"].update(env=["=x"]), "env entry '=x' is not NAME=value"),
    "groups in an old version": (lambda d: edits(d).update(additionalGids=[44]), "cdiVersion 0.5.0 does not have: it needs 0.7.0"),
    "host path in an old version": (lambda d: d.update(cdiVersion="0.4.0"), "cdiVersion 0.4.0 does not have: it needs 0.5.0"),
    "class in an old version": (lambda d: d.update(kind="a.b/c.d"), "cdiVersion 0.5.0 does not have: it needs 0.6.0"),
    "annotations in an old version": (lambda d: d["devices"][0].update(annotations={"a": "b"}), "it needs 0.6.0"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORM)
def test_form(name: str) -> None:
    change, expected = FORM[name]
    found = problems(spec(change), FITTING)
    assert len(found) == 1
    assert expected in found[0]


FIT: dict[str, tuple[Callable[[Document], object], Machine, str]] = {
    "unreadable": (unchanged, FITTING._replace(readable=False), "the engine's user cannot read it"),
    "another specification": (unchanged, FITTING._replace(others={"nvidia.com/gpu=0": "/etc/cdi/nvidia.yaml"}), "device 0 is also defined by /etc/cdi/nvidia.yaml"),
    "no mount source": (unchanged, FITTING._replace(exists=lambda path: path != "/run/nvidia-persistenced"), "/run/nvidia-persistenced does not exist"),
    "no hook": (unchanged, FITTING._replace(exists=lambda path: path != "/usr/bin/python3"), "hook /usr/bin/python3 does not exist"),
    "hook without environment": (lambda d: d["containerEdits"]["hooks"][0].pop("env"), FITTING, "hook /usr/bin/python3 has no environment of its own"),
    "library of another driver": (lambda d: edits(d)["mounts"][0].update(hostPath="/usr/lib/libcuda.so.535.1"), FITTING, "/usr/lib/libcuda.so.535.1 is of driver 535.1, loaded is 550.163.01"),
    "tree of another driver": (unchanged, FITTING._replace(driver="560.35.03"), f"is of driver {VERSION}, loaded is 560.35.03"),
    "no node": (lambda d: edits(d)["deviceNodes"][0].update(path="/dev/nvidia9"), FITTING, "/dev/nvidia9 is no device node"),
    "node elsewhere": (lambda d: edits(d)["deviceNodes"][0].update(hostPath="/root/dev/nvidia9"), FITTING, "/root/dev/nvidia9 is no device node"),
    "renumbered node": (unchanged, FITTING._replace(device=lambda path: (511, 0) if path == "/dev/nvidia-uvm" else NODES[path]), "/dev/nvidia-uvm is 511:0, the specification says 510:0"),
}  # fmt: skip


@pytest.mark.parametrize("name", FIT)
def test_fit(name: str) -> None:
    change, machine, expected = FIT[name]
    found = [problem for problem in problems(spec(change), machine) if "all" not in problem.split()]
    assert len(found) == 1
    assert expected in found[0]


def test_a_minor_that_is_left_out_is_zero() -> None:
    def leave_out(document: Document) -> None:
        for device in document["devices"]:
            for node in device["containerEdits"]["deviceNodes"]:
                if node["minor"] == 0:
                    del node["minor"]

    assert problems(spec(leave_out), FITTING) == []


def test_the_same_problem_of_many_devices_is_said_once() -> None:
    found = problems(spec(), FITTING._replace(exists=lambda path: "persistenced" not in path))
    assert found == ["/run/nvidia-persistenced does not exist"]


def test_the_form_comes_first() -> None:
    """The fit of what has no form cannot be told."""
    found = problems({"cdiVersion": "0.5.0", "kind": "a.b/c", "devices": [{"name": "x", "containerEdits": 1}]}, FITTING)
    assert found == ["device x: containerEdits is missing or no mapping"]
