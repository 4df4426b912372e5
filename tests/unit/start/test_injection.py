"""What a request changes in config.json: the same as the CDI specification, and nothing twice."""

import copy

import pytest

from gpudock.cdi import project
from gpudock.errors import RefusedError
from gpudock.plan.document import Extra, Plan
from gpudock.plan.request import Request
from gpudock.plan.select import select
from gpudock.start import changes, injection
from gpudock.start.asked import Asked
from gpudock.start.changes import Changes
from unit.plan.plans import gpu, node, plan_with
from unit.start.configs import Json, config, nvidia_hook


def asking(devices: object, *beside: tuple[str, str, str]) -> Asked:
    return Asked(Request(devices), {}, beside)  # type: ignore[arg-type]


def injected(plan: Plan, wanted: Asked, into: dict[str, Json] | None = None) -> dict[str, Json]:
    edited = Changes(config("NVIDIA_VISIBLE_DEVICES=0") if into is None else into)
    variant = plan["variants"]["compute.utility"]
    injection.inject(edited, injection.given(plan, variant, select(plan, wanted.request), wanted))
    return edited.config


@pytest.mark.parametrize("name", ["0", "all", "1:0", "1:1"])
def test_the_same_as_the_cdi_specification(name: str) -> None:
    plan = plan_with()
    made = injected(plan, asking(name if name == "all" else (name,)))
    spec = project.gpus(plan, project.Options(hook=("/hook",)))
    wanted = next(each for each in spec["devices"] if each["name"] == name + ".compute.utility")["containerEdits"]
    fields = ("path", "type", "major", "minor", "fileMode")
    assert [[each[field] for field in fields] for each in made["linux"]["devices"]] == [
        [dict(each)[field] for field in fields] for each in wanted["deviceNodes"]
    ]
    rules = [rule for rule in made["linux"]["resources"]["devices"] if rule["allow"]]
    assert [(rule["major"], rule["minor"], rule["access"]) for rule in rules] == [
        (each["major"], each["minor"], each["permissions"]) for each in wanted["deviceNodes"]
    ]
    assert [(each["source"], each["destination"], each["options"]) for each in made["mounts"][1:]] == [
        (each["hostPath"], each["containerPath"], each["options"]) for each in wanted["mounts"]
    ]
    assert spec["containerEdits"]["env"] == ["NVIDIA_VISIBLE_DEVICES=void"]
    assert made["process"]["env"] == ["PATH=/usr/bin:/bin", "NVIDIA_VISIBLE_DEVICES=void"]


def test_the_variable_is_there_once_and_in_its_place() -> None:
    into = config("NVIDIA_VISIBLE_DEVICES=0", "A=1", "NVIDIA_VISIBLE_DEVICES=1", "NVIDIA_VISIBLE_DEVICES_X=2")
    made = injected(plan_with(), asking("all"), into)
    assert made["process"]["env"][1:] == ["NVIDIA_VISIBLE_DEVICES=void", "A=1", "NVIDIA_VISIBLE_DEVICES_X=2"]
    legacy = injected(plan_with(), asking("all"), config("CUDA_VERSION=8.0"))
    assert legacy["process"]["env"][1:] == ["CUDA_VERSION=8.0", "NVIDIA_VISIBLE_DEVICES=void"]


def test_doing_it_twice_is_doing_it_once() -> None:
    once = injected(plan_with(), asking("all"))
    assert injected(plan_with(), asking("all"), copy.deepcopy(once)) == once


def test_what_is_there_already_is_replaced() -> None:
    into = config()
    into["linux"]["devices"] = [{"path": "/dev/nvidia0", "type": "c", "major": 1, "minor": 3}, {"path": "/dev/fuse"}]
    into["mounts"].append({"destination": "/usr/local/nvidia", "source": "/var/lib/nvidia-docker", "options": ["ro"]})
    made = injected(plan_with(), asking(("0",)), into)
    found = {each["path"]: each for each in made["linux"]["devices"]}
    assert found["/dev/nvidia0"]["major"] == 195
    assert "/dev/fuse" in found
    places = [each["destination"] for each in made["mounts"]]
    assert places.count("/usr/local/nvidia") == 1
    assert "/var/lib/nvidia-docker" not in [each["source"] for each in made["mounts"]]


def test_a_users_mount_inside_the_tree_stays_visible() -> None:
    into = config()
    into["mounts"].append({"destination": "/usr/local/nvidia/lib64", "source": "/mine", "type": "bind"})
    places = [each["destination"] for each in injected(plan_with(), asking("all"), into)["mounts"]]
    assert places.index("/usr/local/nvidia") < places.index("/usr/local/nvidia/lib64")


def test_undone_it_is_as_before() -> None:
    before = config("NVIDIA_VISIBLE_DEVICES=0", hooks={"prestart": [nvidia_hook()]})
    edited = Changes(copy.deepcopy(before))
    plan = plan_with()
    wanted = asking("all")
    injection.inject(
        edited, injection.given(plan, plan["variants"]["compute.utility"], select(plan, wanted.request), wanted)
    )
    changes.undo(edited.config, edited.made)
    assert edited.config == before


def test_nvidias_hook_goes_and_others_stay() -> None:
    other = {"path": "/usr/bin/other"}
    into = config(hooks={"prestart": [nvidia_hook(), other, nvidia_hook()]})
    assert injected(plan_with(), asking("all"), into)["hooks"] == {"prestart": [other]}


def test_the_containers_user_owns_nodes_as_with_cdi_and_is_in_their_groups() -> None:
    closed = gpu(0)
    closed["nodes"] = [{**node("/dev/nvidia0", 195, 0, 0o660), "gid": 44}]
    into = config()
    into["process"]["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [7]}
    made = injected(plan_with(closed), asking("all"), into)
    found = {each["path"]: each for each in made["linux"]["devices"]}
    assert (found["/dev/nvidia0"]["uid"], found["/dev/nvidia0"]["gid"]) == (1000, 44)
    assert made["process"]["user"]["additionalGids"] == [7, 44]


def test_in_a_user_namespace_a_node_from_elsewhere_is_mounted() -> None:
    simulated = gpu(0)
    simulated["nodes"] = [{**node("/dev/nvidia0", 195, 0), "host": "/gpus/dev/nvidia0"}]
    into = config()
    into["linux"]["namespaces"].append({"type": "user"})
    made = injected(plan_with(simulated), asking("all"), into)
    assert "/dev/nvidia0" not in [each["path"] for each in made["linux"]["devices"]]
    mounted = next(each for each in made["mounts"] if each["destination"] == "/dev/nvidia0")
    assert mounted["source"] == "/gpus/dev/nvidia0"
    assert "nodev" not in mounted["options"]


def test_extras() -> None:
    plan = plan_with()
    channel = node("/dev/nvidia-caps-imex-channels/channel0", 511, 0)
    plan["extras"]["imex"] = Extra(nodes={"0": [channel], "all": [channel]}, mounts=[])
    made = injected(plan, asking("none", ("imex", "0", "NVIDIA_IMEX_CHANNELS=0")))
    paths = [each["path"] for each in made["linux"]["devices"]]
    assert channel["path"] in paths
    assert "/dev/nvidia0" not in paths
    with pytest.raises(RefusedError, match="NVIDIA_IMEX_CHANNELS=1 asks for what this machine does not have") as found:
        injected(plan, asking("none", ("imex", "1", "NVIDIA_IMEX_CHANNELS=1")))
    assert "for imex it has 0, all" in found.value.why


@pytest.mark.parametrize(
    ("linux", "owner"),
    [
        ({}, (0, 0)),
        ({"uidMappings": None, "gidMappings": []}, (0, 0)),
        (
            {
                "uidMappings": [{"containerID": 1, "hostID": 5}, {"containerID": 0, "hostID": 100000, "size": 65536}],
                "gidMappings": [{"containerID": 0, "hostID": 200000, "size": 1}],
            },
            (100000, 200000),
        ),
        ({"uidMappings": [{"containerID": 0, "hostID": "0"}], "gidMappings": "x"}, (0, 0)),
    ],
)
def test_the_containers_root(linux: dict[str, Json], owner: tuple[int, int]) -> None:
    assert injection.container_root({"linux": linux}) == owner
