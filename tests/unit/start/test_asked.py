"""Who asks for what: the table of NVIDIA's runtime, and what is right where that one is wrong."""

import pytest

from gpudock.errors import RefusedError, UsageError
from gpudock.plan.capabilities import ALL
from gpudock.start import settings
from gpudock.start.asked import FOLDER, asked
from gpudock.start.settings import Settings
from unit.start.configs import Json, config, nvidia_hook, privileged

DEFAULTS = settings.DEFAULT
USUAL = ("compute", "utility")


def having(**fields: object) -> Settings:
    return Settings(**{name: getattr(DEFAULTS, name) for name in Settings.__slots__} | fields)


STRICT = having(unprivileged=False)
MOUNTS = having(mounts=True)


def mount(name: str, source: str = "/dev/null") -> dict[str, Json]:
    return {"destination": FOLDER + name, "type": "bind", "source": source}


@pytest.mark.parametrize(
    ("made", "devices", "capabilities"),
    [
        (config(), "void", None),
        (config("NVIDIA_VISIBLE_DEVICES="), "void", None),
        (config("NVIDIA_VISIBLE_DEVICES=void"), "void", None),
        (config("NVIDIA_VISIBLE_DEVICES=none"), "none", USUAL),
        (config("NVIDIA_VISIBLE_DEVICES=all"), "all", USUAL),
        (config("NVIDIA_VISIBLE_DEVICES=0,0"), ("0",), USUAL),
        (config("NVIDIA_VISIBLE_DEVICES= 1 , 0 "), ("1", "0"), USUAL),
        (config("NVIDIA_VISIBLE_DEVICES=0:1"), ("0:1",), USUAL),
        (config("NVIDIA_VISIBLE_DEVICES=GPU-8f3c"), ("GPU-8f3c",), USUAL),
        (config("NVIDIA_VISIBLE_DEVICES=nvidia.com/gpu=0"), ("0",), USUAL),
        (config("NVIDIA_VISIBLE_DEVICES=runtime.nvidia.com/gpu=all"), "all", USUAL),
        (config("NVIDIA_VISIBLE_DEVICES=0", "NVIDIA_VISIBLE_DEVICES=1"), ("1",), USUAL),
        (config("NVIDIA_VISIBLE_DEVICES=0", "NVIDIA_DRIVER_CAPABILITIES=utility"), ("0",), ("utility",)),
        (config("NVIDIA_VISIBLE_DEVICES=0", "NVIDIA_DRIVER_CAPABILITIES="), ("0",), USUAL),
        (config("CUDA_VERSION=8.0"), "all", ALL),
        (config("CUDA_VERSION=12.4", "NVIDIA_REQUIRE_CUDA=cuda>=12.4"), "void", None),
    ],
)
def test_variables(made: dict[str, Json], devices: object, capabilities: object) -> None:
    request = asked(made, DEFAULTS).request
    assert (request.devices, request.capabilities) == (devices, capabilities)


@pytest.mark.parametrize("value", ["none,all", "all,none", "void,0", "none,0", "teapot"])
def test_what_cannot_be_meant_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="NVIDIA_VISIBLE_DEVICES"):
        asked(config(f"NVIDIA_VISIBLE_DEVICES={value}"), DEFAULTS)


def test_a_container_that_asks_for_nothing_may_hold_anything() -> None:
    made = config("NVIDIA_DRIVER_CAPABILITIES=teapot", "NVIDIA_IMEX_CHANNELS=x", "NVIDIA_MIG_CONFIG_DEVICES=all")
    assert asked(made, DEFAULTS).request.devices == "void"


@pytest.mark.parametrize(
    ("annotations", "devices", "capabilities"),
    [
        ({"gpudock.devices": "1"}, ("1",), USUAL),
        ({"gpudock.devices": "1", "gpudock.capabilities": "utility"}, ("1",), ("utility",)),
        ({"cdi.k8s.io/vfio_x": "nvidia.com/gpu=1"}, ("1",), ALL),
        ({"cdi.k8s.io/x": "nvidia.com/gpu=0,nvidia.com/gpu=1"}, ("0", "1"), ALL),
        ({"cdi.k8s.io/x": "nvidia.com/gpu=0.compute.utility"}, ("0",), USUAL),
        ({"cdi.k8s.io/x": "nvidia.com/gpu=all.utility"}, "all", ("utility",)),
        ({"cdi.k8s.io/x": "nvidia.com/gpu=0000:06:00.0"}, ("00000000:06:00.0",), ALL),
        ({"gpudock.devices": "0", "cdi.k8s.io/x": "nvidia.com/gpu=1"}, ("0",), USUAL),
        ({"cdi.k8s.io/x": "vendor.com/net=eth0"}, ("7",), USUAL),
        ({"unrelated": "nvidia.com/gpu=0"}, ("7",), USUAL),
        ({"gpudock.devices": " "}, ("7",), USUAL),
    ],
)
def test_annotations_come_before_variables(annotations: dict[str, str], devices: object, capabilities: object) -> None:
    request = asked(config("NVIDIA_VISIBLE_DEVICES=7", annotations=annotations), DEFAULTS).request
    assert request.devices == devices
    if devices != ("7",):
        assert request.capabilities == (USUAL if capabilities == USUAL else capabilities)


def test_a_cdi_name_brings_the_whole_driver_unless_the_variable_says_less() -> None:
    made = config("NVIDIA_DRIVER_CAPABILITIES=utility", annotations={"cdi.k8s.io/x": "nvidia.com/gpu=0"})
    assert asked(made, DEFAULTS).request.capabilities == ("utility",)


@pytest.mark.parametrize(
    ("names", "devices", "beside"),
    [
        (("0",), ("0",), ()),
        (("0", "GPU-8f3c"), ("0", "GPU-8f3c"), ()),
        (("cdi/nvidia.com/gpu/1",), ("1",), ()),
        (("cdi/nvidia.com/gpu=1",), ("1",), ()),
        (("0", "imex/3"), ("0",), ("imex",)),
    ],
)
def test_mounts_come_before_variables_when_they_are_accepted(
    names: tuple[str, ...], devices: object, beside: tuple[str, ...]
) -> None:
    made = config("NVIDIA_VISIBLE_DEVICES=7", mounts=[mount(name) for name in names])
    assert asked(made, DEFAULTS).request.devices == ("7",)
    found = asked(made, MOUNTS)
    assert found.request.devices == devices
    assert tuple(name for name, _, _ in found.beside) == beside


def test_only_mounts_of_the_null_device_ask() -> None:
    made = config(mounts=[mount("0", source="/somewhere"), {"destination": "/elsewhere/0", "source": "/dev/null"}])
    assert asked(made, MOUNTS).request.devices == "void"


def test_swarm_variables_stand_for_the_usual_one() -> None:
    swarm = having(swarm=("DOCKER_RESOURCE_GPU", "DOCKER_RESOURCE_MORE"))
    made = config("NVIDIA_VISIBLE_DEVICES=all", "DOCKER_RESOURCE_GPU=GPU-8f3c", "DOCKER_RESOURCE_MORE=1")
    assert asked(made, swarm).request.devices == ("GPU-8f3c", "1")
    assert asked(config("NVIDIA_VISIBLE_DEVICES=all"), swarm).request.devices == "all"


def test_strict_settings_ignore_variables_without_privilege_and_say_so() -> None:
    found = asked(config("NVIDIA_VISIBLE_DEVICES=all"), STRICT)
    assert found.request.devices == "void"
    assert "is ignored: the container is not privileged" in found.notes[0]
    assert asked(privileged("NVIDIA_VISIBLE_DEVICES=all"), STRICT).request.devices == "all"
    assert asked(config(annotations={"gpudock.devices": "0"}), STRICT).request.devices == "void"
    trusting = having(unprivileged=False, annotations=True)
    assert asked(config(annotations={"gpudock.devices": "0"}), trusting).request.devices == ("0",)
    strict_mounts = having(unprivileged=False, mounts=True)
    assert asked(config("NVIDIA_VISIBLE_DEVICES=all", mounts=[mount("0")]), strict_mounts).request.devices == ("0",)


def test_gpus_of_docker_is_nobodys_image() -> None:
    made = config("NVIDIA_VISIBLE_DEVICES=0", hooks={"prestart": [nvidia_hook()]})
    assert asked(made, STRICT).request.devices == ("0",)


def test_the_image_adds_nothing_to_what_the_flag_gives() -> None:
    made = config(
        *("NVIDIA_VISIBLE_DEVICES=0", "DOCKER_RESOURCE_GPU=all", "NVIDIA_IMEX_CHANNELS=all", "NVIDIA_GDS=enabled"),
        hooks={"prestart": [nvidia_hook()]},
    )
    found = asked(made, having(unprivileged=False, swarm=("DOCKER_RESOURCE_GPU",)))
    assert (found.request.devices, found.beside) == (("0",), ())


def test_a_hook_file_that_gives_nvidias_hook_to_everybody_is_not_the_flag() -> None:
    hooks = {"prestart": [{**nvidia_hook(), "args": ["nvidia-container-toolkit", "prestart"]}]}
    assert asked(config("NVIDIA_VISIBLE_DEVICES=all", hooks=hooks), STRICT).request.devices == "void"
    podman = config(
        "NVIDIA_VISIBLE_DEVICES=all",
        hooks={"prestart": [nvidia_hook()]},
        annotations={"io.container.manager": "libpod"},
    )
    assert asked(podman, STRICT).request.devices == "void"


def test_an_image_cannot_pass_for_another_engine() -> None:
    annotations = {"io.container.manager": "mine", "gpudock.devices": "all"}
    assert asked(config(annotations=annotations), STRICT).request.devices == "void"


def test_every_device_plugin_writes_its_own_annotation() -> None:
    annotations = {
        "cdi.k8s.io/a": "nvidia.com/gpu=0",
        "cdi.k8s.io/b": "nvidia.com/gpu=1,other.com/x=1",
        "cdi.k8s.io/c": "nvidia.com/imex-channel=0",
    }
    found = asked(config(annotations=annotations), DEFAULTS)
    assert found.request.devices == ("0", "1")
    assert [(name, device) for name, device, _ in found.beside] == [("imex", "0")]


@pytest.mark.parametrize(
    "hook", [{"path": "/usr/bin/python3", "args": ["python3", "--plan", "/p"]}, {"path": "/usr/bin/nvidia-cdi-hook"}]
)
def test_what_cdi_has_given_is_not_given_again(hook: dict[str, Json]) -> None:
    annotations = {"cdi.k8s.io/x": "nvidia.com/gpu=0"}
    made = config("NVIDIA_VISIBLE_DEVICES=void", annotations=annotations, hooks={"createContainer": [hook]})
    assert asked(made, DEFAULTS).request.devices == "void"
    made["hooks"] = {"createContainer": [{"path": "/other"}]}
    assert asked(made, DEFAULTS).request.devices == ("0",)


def test_what_comes_beside_gpus() -> None:
    made = privileged(
        *("NVIDIA_VISIBLE_DEVICES=0", "NVIDIA_GDS=enabled", "NVIDIA_MOFED=enabled", "NVIDIA_GDRCOPY=disabled"),
        *("NVIDIA_NVSWITCH=enabled", "NVIDIA_IMEX_CHANNELS=0,5", "NVIDIA_MIG_MONITOR_DEVICES=all"),
    )
    assert [(name, device) for name, device, _ in asked(made, DEFAULTS).beside] == [
        *(("imex", "0"), ("imex", "5"), ("gds", "all"), ("mofed", "all"), ("nvswitch", "all"), ("mig-monitor", "all"))
    ]
    every = config("NVIDIA_VISIBLE_DEVICES=0", "NVIDIA_IMEX_CHANNELS=all")
    assert asked(every, DEFAULTS).beside == (("imex", "all", "NVIDIA_IMEX_CHANNELS=all"),)


def test_other_cdi_kinds_of_nvidia() -> None:
    annotations = {"cdi.k8s.io/x": "nvidia.com/gds=all,nvidia.com/imex-channel=2"}
    found = asked(config(annotations=annotations), DEFAULTS)
    assert found.request.devices == "none"
    assert [(name, device) for name, device, _ in found.beside] == [("gds", "all"), ("imex", "2")]


@pytest.mark.parametrize("variable", ["NVIDIA_MIG_CONFIG_DEVICES", "NVIDIA_MIG_MONITOR_DEVICES"])
def test_managing_mig_needs_privilege(variable: str) -> None:
    with pytest.raises(RefusedError, match=f"{variable}=all is only for privileged containers"):
        asked(config("NVIDIA_VISIBLE_DEVICES=0", f"{variable}=all"), DEFAULTS)


@pytest.mark.parametrize(
    "broken",
    [
        {"process": None},
        {"process": {"env": None}},
        {"process": {"env": [1, None, "NOEQUALS"]}},
        {"annotations": ["x"]},
        {"annotations": {"cdi.k8s.io/x": 5}},
        {"hooks": []},
        {"hooks": {"prestart": ["x"], "createContainer": [None, {"path": "/x"}]}},
        {"process": {"env": ["NVIDIA_VISIBLE_DEVICES=void"]}, "hooks": {"createContainer": [{"args": None}]}},
        {"mounts": [None, {}, {"destination": 5}]},
    ],
)
def test_odd_documents_ask_for_nothing(broken: dict[str, Json]) -> None:
    assert asked({**config(), **broken}, MOUNTS).request.devices == "void"
