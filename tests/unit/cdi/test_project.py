"""Start plan -> CDI specification."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gpudock.cdi import codec, project
from gpudock.cdi.schema import Spec
from gpudock.cdi.validate import problems
from gpudock.errors import RefusedError
from gpudock.plan import capabilities, edits
from gpudock.plan.document import MOUNT_POINT
from unit.cdi.specs import HOOK, OPTIONS, plan
from unit.machines import node, uuid

SCHEMA = json.loads((Path(__file__).parents[2] / "data/cdi-schema.json").read_text())
CHANNELS = tuple(node(f"/dev/nvidia-caps-imex-channels/channel{number}", 238, number) for number in (0, 2, 10))
BESIDE = (
    *CHANNELS,
    node("/dev/nvidia-fs0", 500, 0),
    node("/dev/gdrdrv", 501, 0),
    node("/dev/infiniband/rdma_cm", 10, 60),
)
EVERY_SPEC = {
    "gpus": project.gpus(plan(), OPTIONS),
    "mig": project.gpus(plan(mig={1: 2}), OPTIONS),
    "groups": project.gpus(plan(), OPTIONS._replace(groups=True)),
    "type-index": project.gpus(plan(), OPTIONS._replace(strategies=("type-index",))),
    "plain": project.gpus(plan(1), OPTIONS._replace(all_device=False, filtered=False)),
    "wsl": project.gpus(plan(1, wsl=True), OPTIONS),
    "management": project.management(plan(), OPTIONS._replace(vendor="management.nvidia.com")),
    **{
        mode: project.beside(plan(nodes=BESIDE), mode, f"nvidia.com/{mode}")
        for mode in ("imex", "gds", "gdrcopy", "mofed")
    },
}


def names(spec: Spec) -> list[str]:
    return [device["name"] for device in spec["devices"]]


def full(spec: Spec) -> list[str]:
    """Names of the devices that bring the whole driver."""
    return [name for name in names(spec) if not any(word in capabilities.ALL for word in name.split("."))]


def paths(spec: Spec, name: str) -> list[str]:
    (device,) = [device for device in spec["devices"] if device["name"] == name]
    return [each["path"] for each in device["containerEdits"]["deviceNodes"]]


@pytest.mark.parametrize("name", EVERY_SPEC)
def test_every_specification_is_valid(name: str) -> None:
    spec = EVERY_SPEC[name]
    jsonschema.validate(spec, SCHEMA)
    assert problems(spec) == []


@pytest.mark.parametrize(("field", "value"), [("kind", "gpu"), ("cdiVersion", "0.1"), ("devices", []), ("surplus", 1)])
def test_the_schema_itself_refuses(field: str, value: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**EVERY_SPEC["gpus"], field: value}, SCHEMA)


@pytest.mark.parametrize("name", EVERY_SPEC)
def test_the_same_input_gives_the_same_bytes_in_both_formats(name: str) -> None:
    spec = EVERY_SPEC[name]
    text, data = codec.encode(spec, "yaml"), codec.encode(spec, "json")
    assert codec.decode(text, "yaml") == codec.decode(data, "json") == spec
    assert b"&id" not in text  # people read it: no anchors
    if name == "gpus":
        assert codec.encode(project.gpus(plan(), OPTIONS), "json") == data


class TestNames:
    def test_two_comes_before_ten(self) -> None:
        spec = project.gpus(plan(11), OPTIONS._replace(strategies=("index",), filtered=False))
        assert names(spec) == [*map(str, range(11)), "all"]
        spec = project.gpus(plan(11), OPTIONS._replace(strategies=("type-index",), filtered=False, all_device=False))
        assert names(spec) == [f"gpu{number}" for number in range(11)]

    @pytest.mark.parametrize(
        ("strategies", "expected"),
        [
            (("index",), {"0", "1:0", "1:1", "all"}),
            (("uuid",), {uuid("GPU", 0), uuid("MIG", 16), uuid("MIG", 17), "all"}),
            (("type-index",), {"gpu0", "mig1:0", "mig1:1", "all"}),
            (("index", "type-index"), {"0", "gpu0", "1:0", "1:1", "mig1:0", "mig1:1", "all"}),
        ],
    )
    def test_by_strategy_and_no_whole_gpu_in_mig_mode(self, strategies: tuple[str, ...], expected: set[str]) -> None:
        assert set(full(project.gpus(plan(mig={1: 2}), OPTIONS._replace(strategies=strategies)))) == expected

    def test_none_is_defined_twice(self) -> None:
        for spec in EVERY_SPEC.values():
            assert len(set(names(spec))) == len(names(spec))

    def test_filtered_devices_beside_the_full_ones(self) -> None:
        spec = EVERY_SPEC["gpus"]
        assert {"0", "0.utility", "0.compute.utility", "all.compute.utility", f"{uuid('GPU', 1)}.utility"} <= set(
            names(spec)
        )
        assert full(EVERY_SPEC["plain"]) == names(EVERY_SPEC["plain"]) == ["0", uuid("GPU", 0)]
        assert project.device_name("0", ("utility",)) == "0.utility"
        assert project.device_name("0", capabilities.ALL) == "0"


class TestChoice:
    @pytest.mark.parametrize(
        ("ids", "expected"),
        [
            (("0",), ["0"]),
            (("1:0", "gpu0"), ["0", "1:0"]),
            ((uuid("MIG", 17),), ["1:1"]),
            (("all",), ["0", "1:0", "1:1"]),
        ],
    )
    def test_by_any_name(self, ids: tuple[str, ...], expected: list[str]) -> None:
        options = OPTIONS._replace(strategies=("index",), filtered=False, all_device=False, device_ids=ids)
        assert names(project.gpus(plan(mig={1: 2}), options)) == expected

    def test_all_is_all_of_the_chosen(self) -> None:
        spec = project.gpus(plan(3), OPTIONS._replace(device_ids=("0", "2")))
        assert [path for path in paths(spec, "all") if path[-1].isdigit() and "dri" not in path] == [
            "/dev/nvidia0",
            "/dev/nvidia2",
        ]

    @pytest.mark.parametrize("ids", [("7",), ("1",), ("0", "7"), ("GPU-unknown",), ("",)])
    def test_an_unknown_device_is_refused_by_name(self, ids: tuple[str, ...]) -> None:
        """Index 1 is in MIG mode: its instances are devices, it is none."""
        with pytest.raises(RefusedError) as caught:
            project.gpus(plan(mig={1: 2}), OPTIONS._replace(device_ids=ids))
        assert ids[-1] in caught.value.what
        assert caught.value.why == "the machine has 0, 1:0, 1:1"

    @pytest.mark.parametrize(
        ("mig", "why"), [({}, "the machine has none"), ({0: 0}, "the machine has MIG-enabled GPUs without instances")]
    )
    def test_nothing_to_name(self, mig: dict[int, int], why: str) -> None:
        made = plan(1, mig)
        if not mig:
            made["gpus"] = []
        with pytest.raises(RefusedError) as caught:
            project.gpus(made, OPTIONS)
        assert caught.value.why == why


class TestEdits:
    def test_a_device_has_its_own_gpu_and_the_control_nodes(self) -> None:
        control = ["/dev/nvidia-modeset", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"]
        spec = EVERY_SPEC["gpus"]
        assert paths(spec, "1") == ["/dev/dri/renderD129", *control, "/dev/nvidia1", "/dev/nvidiactl"]
        assert paths(spec, "1.utility") == ["/dev/nvidia1", "/dev/nvidiactl"]

    def test_a_mig_device_has_its_rights(self) -> None:
        caps = [path for path in paths(EVERY_SPEC["mig"], "1:1") if "caps" in path]
        assert caps == ["/dev/nvidia-caps/nvidia-cap30", "/dev/nvidia-caps/nvidia-cap39"]
        assert "/dev/nvidia1" in paths(EVERY_SPEC["mig"], "1:1")
        assert "/dev/nvidia0" not in paths(EVERY_SPEC["mig"], "1:1")

    def test_they_are_those_of_the_plan(self) -> None:
        """One source for the specification and the runtime: the same nodes, mounts and environment."""
        made, spec = plan(mig={1: 2}), EVERY_SPEC["mig"]
        for label, variant in made["variants"].items():
            for name, device in (("0", made["gpus"][0]), ("1:1", made["gpus"][1]["instances"][1])):
                label_name = name if label == "all" else f"{name}.{label}"
                assert paths(spec, label_name) == [each["path"] for each in edits.nodes(device, variant)]
        assert spec["containerEdits"]["env"] == list(edits.ENVIRONMENT) == ["NVIDIA_VISIBLE_DEVICES=void"]

    def test_the_driver_is_one_mount(self) -> None:
        for device in EVERY_SPEC["gpus"]["devices"]:
            tree, *others = device["containerEdits"]["mounts"]
            assert tree["containerPath"] == MOUNT_POINT
            assert {"ro", "nosuid", "nodev"} <= set(tree["options"])
            assert all({"nosuid", "nodev"} <= set(mount["options"]) for mount in others)

    def test_nodes_are_complete(self) -> None:
        for each in EVERY_SPEC["gpus"]["devices"][0]["containerEdits"]["deviceNodes"]:
            assert (each["type"], each["permissions"]) == ("c", "rw")  # no mknod
            assert each["fileMode"] in {0o666, 0o660}
            assert "hostPath" not in each  # the same as in the container

    def test_another_dev_root_is_named(self) -> None:
        made = plan(1)
        made["gpus"][0]["nodes"][0]["host"] = "/driver/dev/nvidia0"
        spec = project.gpus(made, OPTIONS)
        (each,) = [n for n in spec["devices"][0]["containerEdits"]["deviceNodes"] if n["path"] == "/dev/nvidia0"]
        assert each.get("hostPath") == "/driver/dev/nvidia0"


@pytest.mark.parametrize("name", EVERY_SPEC)
def test_hooks(name: str) -> None:
    """At most one, never with the image's environment, never without an end."""
    spec: dict[str, Any] = json.loads(json.dumps(EVERY_SPEC[name]))
    everywhere = [spec.get("containerEdits", {}), *(device["containerEdits"] for device in spec["devices"])]
    hooks = [hook for part in everywhere for hook in part.get("hooks", [])]
    assert len(hooks) == (0 if name in {"imex", "gds", "gdrcopy", "mofed"} else 1)
    for hook in hooks:
        assert (hook["hookName"], hook["path"], hook["args"]) == ("createContainer", HOOK[0], [*HOOK[1:]])
        assert 0 < hook["timeout"] <= 60
        assert hook["env"]
        assert not any(entry.startswith(("LD_", "PYTHON")) for entry in hook["env"])


class TestVersion:
    def test_the_oldest_that_has_what_is_used(self) -> None:
        assert {name: spec["cdiVersion"] for name, spec in EVERY_SPEC.items() if spec["cdiVersion"] != "0.5.0"} == {
            "groups": "0.7.0"
        }

    def test_groups_only_where_nodes_need_them(self) -> None:
        gids = {
            device["name"]: device["containerEdits"].get("additionalGids") for device in EVERY_SPEC["groups"]["devices"]
        }
        assert gids["0"] == [105]  # the DRM nodes' group
        assert gids["0.compute.utility"] is None

    def test_groups_that_no_node_needs_keep_the_old_version(self) -> None:
        made = plan(1)
        for gpu in made["gpus"]:
            gpu["drm"] = []
        assert project.gpus(made, OPTIONS._replace(groups=True))["cdiVersion"] == "0.5.0"

    def test_a_dot_in_the_class_needs_a_newer_one(self) -> None:
        assert project.gpus(plan(), OPTIONS._replace(device_class="gpu.coherent"))["cdiVersion"] == "0.6.0"
        assert project.gpus(plan(), OPTIONS._replace(vendor="a.b.c"))["cdiVersion"] == "0.5.0"


class TestBeside:
    def test_imex_channels_by_number(self) -> None:
        assert names(EVERY_SPEC["imex"]) == ["0", "2", "10", "all"]
        assert paths(EVERY_SPEC["imex"], "10") == ["/dev/nvidia-caps-imex-channels/channel10"]
        assert len(paths(EVERY_SPEC["imex"], "all")) == 3

    @pytest.mark.parametrize("mode", ["imex", "gds", "mofed", "gdrcopy", "nvswitch"])
    def test_absent_hardware_is_refused(self, mode: str) -> None:
        with pytest.raises(RefusedError, match=mode):
            project.beside(plan(), mode, f"nvidia.com/{mode}")

    def test_management_has_every_node_and_the_whole_driver(self) -> None:
        (device,) = EVERY_SPEC["management"]["devices"]
        assert device["name"] == "all"
        assert {"/dev/nvidia0", "/dev/nvidia1", "/dev/nvidiactl", "/dev/nvidia-uvm"} <= set(
            paths(EVERY_SPEC["management"], "all")
        )
        assert device["containerEdits"]["mounts"][0]["hostPath"].endswith("/all")

    def test_management_of_a_machine_without_nodes_is_refused(self) -> None:
        with pytest.raises(RefusedError, match="management"):
            project.management(plan(1, wsl=True), OPTIONS)
