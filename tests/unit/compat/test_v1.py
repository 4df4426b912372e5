"""nvidia-docker 1.0.1, case by case; the numbers are those of its conformance list."""

from collections.abc import Sequence
from typing import Any

import pytest

from gpudock.compat.v1_error import V1Error
from gpudock.errors import RefusedError
from unit.compat.v1_machine import CASES, CUDA, VERSION, VOLUMES, Machine, node, plan

RECORDED = [case for case in CASES if case["system"] == "cli"]
CTL = ("--device=/dev/nvidiactl", "--device=/dev/nvidia-uvm")
G0, G1, G2 = "--device=/dev/nvidia1", "--device=/dev/nvidia0", "--device=/dev/nvidia2"
VOL = ("--volume-driver=nvidia-docker", "--volume=nvidia_driver_367.57:/usr/local/nvidia:ro")
ALL = (*CTL, G0, G1, G2)


def argv(*words: str, env: dict[str, str] | None = None, version: str = "1.12.3", **stubs: Any) -> tuple[str, ...]:
    found = Machine({"docker_version": version, "stubs": stubs}).start(*words, env=env).argv
    assert found[0] == "docker"
    return found[1:]


def refused(*words: str, env: dict[str, str] | None = None, **case: Any) -> str:
    with pytest.raises(V1Error) as caught:
        Machine(case).start(*words, env=env)
    assert caught.value.exit_code == 1
    return caught.value.what


@pytest.mark.parametrize("case", RECORDED, ids=[case["id"] for case in RECORDED])
def test_recorded(case: dict[str, Any]) -> None:
    machine, expected = Machine(case), case["expect"]
    if expected["argv"] is None:
        with pytest.raises(V1Error) as caught:
            machine.start(*case["argv"], env=case["env"])
        assert all(text in f"Error: {caught.value.what}" for text in expected["stderr_contains"])
        assert caught.value.exit_code == expected["rc"]
        return
    found = machine.start(*case["argv"], env=case["env"])
    places = [at for at, word in enumerate(expected["argv"]) if word in expected.get("unordered", ())]
    assert sorted_at(found.argv[1:], places) == sorted_at(expected["argv"], places)
    assert found.banner == expected.get("stdout", "")
    said = "\n".join((*machine.warnings, machine.shown))
    assert all(text in said for text in expected.get("stderr_contains", ()))
    assert machine.calls == expected.get("calls", machine.calls)


def sorted_at(words: Sequence[str], places: list[int]) -> list[str]:
    """With the words at these places in one order, whatever it was."""
    made = [*words]
    for at, word in zip(places, sorted(words[at] for at in places), strict=True):
        made[at] = word
    return made


def test_3_create() -> None:
    found = argv("create", "-it", "--name", "foo", "cuda", "bash")
    assert found == ("create", "-it", "--name", "foo", *ALL, *VOL, "cuda", "bash")


def test_7_container_alone_is_dockers_business() -> None:
    assert argv("container") == ("container",)


def test_9_nothing_is_inspected_or_pulled_behind_two_dashes() -> None:
    machine = Machine({})
    assert machine.start("run", "--", "cuda", "ls").argv == ("docker", "run", "--", "cuda", "ls")
    assert machine.calls == [["docker", *VERSION]] * 2
    assert "no GPU is given" in machine.warnings[0]


@pytest.mark.parametrize(("version", "given"), [("1.12.3", False), ("17.03.1-ce", True), ("20.10.7", True)])
def test_11_options_by_version(version: str, given: bool) -> None:
    added = (*ALL, *VOL) if given else ()
    assert argv("run", "--init", "cuda", version=version) == ("run", "--init", *added, "cuda")


@pytest.mark.parametrize(
    ("value", "gpus"),
    [("1", [G1]), ("GPU-836c0c09,GPU-b78a60a", [G0, G1]), ("1, 0", [G1, G0]), ("+1", [G1]), ("GPU-c0ffee 0", [G2, G0])],
)
def test_13_15_nv_gpu(value: str, gpus: list[str]) -> None:
    assert argv("run", "cuda", env={"NV_GPU": value}) == ("run", *CTL, *gpus, *VOL, "cuda")


@pytest.mark.parametrize("value", ["7", "all", "none", "GPU-zzz", "gpu-836c", "-1", "²", "9" * 5000])
def test_17_devices_that_are_none(value: str) -> None:
    what = refused("run", "cuda", env={"NV_GPU": value})
    assert what.startswith("invalid device: " + value[:50])
    assert len(what) < 100


@pytest.mark.parametrize("label", ["7.5", "", "8.0.61", "+8.0"])
def test_19_cuda_versions_that_fit(label: str) -> None:
    machine = Machine({"image_labels": {"cuda": {VOLUMES: "nvidia_driver", CUDA: label}}})
    assert machine.start("run", "cuda").argv[2:-1] == (*ALL, *VOL)


@pytest.mark.parametrize(
    ("label", "what"),
    [
        ("8.1", "unsupported CUDA version: driver 8.0 < image 8.1"),
        ("9.0", "unsupported CUDA version: driver 8.0 < image 9.0"),
        ("foo", "expected integer"),
        ("8", "unexpected EOF"),
        ("8.", "unexpected EOF"),
        ("8-0", "input does not match format"),
    ],
)
def test_19_cuda_versions_that_do_not(label: str, what: str) -> None:
    assert refused("run", "cuda", image_labels={"cuda": {VOLUMES: "nvidia_driver", CUDA: label}}) == what


def test_a_driver_that_does_not_tell_its_cuda_is_warned_of() -> None:
    machine = Machine({}, {**plan(), "cuda": ""})
    assert machine.start("run", "cuda").argv[2:-1] == (*ALL, *VOL)
    assert "Warning: the image needs CUDA 8.0" in machine.warnings[0]


def test_21_unknown_volumes_are_left_out() -> None:
    for needed, added in (("foo nvidia_driver", (*ALL, *VOL)), ("foo", ALL)):
        machine = Machine({"image_labels": {"cuda": {VOLUMES: needed}}})
        assert machine.start("run", "cuda").argv == ("docker", "run", *added, "cuda")


def test_22_an_image_that_cannot_be_pulled() -> None:
    assert refused("run", "missing") == "failed to run docker command"


def test_23_no_kernel_module() -> None:
    what = refused("run", "cuda", stubs={"modprobe_rc": 1})
    assert what == "Could not load UVM kernel module. Is nvidia-modprobe installed?"
    assert argv("run", "plain", modprobe_rc=1) == ("run", "plain")


def test_23_simulated_gpus_have_no_kernel_module() -> None:
    machine = Machine({"stubs": {"modprobe_rc": 1}}, {**plan(), "simulated": True})
    assert machine.start("run", "cuda").argv[2:-1] == (*ALL, *VOL)


def test_25_docker_that_does_not_answer() -> None:
    text = "Error: Cannot connect to the Docker daemon.\n"
    for words in (("run", "cuda"), ("ps",), ("--help",)):
        what = refused(*words, stubs={"docker_version_rc": 1, "docker_version_stderr": text})
        assert what == "Cannot connect to the Docker daemon."
    assert refused("ps", stubs={"docker_version_rc": 1}) == "failed to run docker command"
    assert refused("ps", env={"NV_DOCKER": "nosuchdocker"}) == "failed to run docker command"
    assert refused("ps", docker_version="podman\n") == "expected integer"


def test_nv_docker_begins_every_command() -> None:
    machine = Machine({})
    found = machine.start("run", "cuda", env={"NV_DOCKER": " sudo  -n docker "})
    assert found.argv == ("sudo", "-n", "docker", "run", *ALL, *VOL, "cuda")
    assert {call[0] for call in machine.calls} == {"sudo", "nvidia-modprobe"}


def test_27_the_port_of_docker_host_is_not_the_plugins() -> None:
    machine = Machine({})
    found = machine.start("run", "cuda", env={"DOCKER_HOST": "tcp://127.0.0.1:2375"})
    assert found.argv == ("docker", "run", *VOL, *ALL, "cuda")
    assert [(host.name, host.port, host.ssh) for host in machine.hosts] == [("127.0.0.1", 3476, False)]
    assert machine.warnings == []


def test_28_a_bad_address_ends_every_command() -> None:
    assert refused("ps", env={"NV_HOST": "http://127.0.0.1"}) == "invalid remote host URI"


def test_a_remote_driver_may_be_too_old_as_well() -> None:
    labels = {"cuda": {VOLUMES: "nvidia_driver", CUDA: "8.1"}}
    what = refused("run", "cuda", env={"NV_HOST": "h:"}, image_labels=labels)
    assert what == "unsupported CUDA version: driver 8.0 < image 8.1"


def test_an_error_of_the_plugin_is_an_error_and_no_words_of_a_command() -> None:
    assert refused("run", "--rm", "cuda", env={"NV_HOST": "h:", "NV_GPU": "9"}) == "invalid device: 9"


@pytest.mark.parametrize(
    "words", [["-p80:80"], ["-v/a:/b"], ["-itv/a:/b"], ["-eA"], ["-m4g"], ["-w/x", "-it"], ["-u0"], ["-lA"]]
)
def test_values_in_the_same_word_do_not_hide_the_image(words: list[str]) -> None:
    assert argv("run", *words, "cuda", "ls") == ("run", *words, *ALL, *VOL, "cuda", "ls")


def test_a_host_in_the_same_word_does_not_hide_the_command() -> None:
    assert argv("-Htcp://h:1", "run", "cuda") == ("-Htcp://h:1", "run", *ALL, *VOL, "cuda")


@pytest.mark.parametrize("option", ["--no-healthcheck", "-q", "--quiet", "--use-api-socket"])
def test_options_younger_than_its_tables(option: str) -> None:
    assert argv("run", option, "cuda", version="28.5.2") == ("run", option, *ALL, *VOL, "cuda")


def test_create_has_no_healthcheck_since_1_12() -> None:
    assert argv("create", "--no-healthcheck", "cuda")[2:-1] == (*ALL, *VOL)
    assert argv("create", "--no-healthcheck", "cuda", version="1.11.2") == ("create", "--no-healthcheck", "cuda")


def test_an_empty_word_is_left_to_docker() -> None:
    assert argv("run", "", "ls") == ("run", "", "ls")
    assert argv("", "run", "cuda") == ("", "run", "cuda")


def test_uvm_tools_where_they_are() -> None:
    machine = Machine({}, plan(uvm_tools=True))
    assert machine.start("run", "cuda").argv[2:5] == (*CTL, "--device=/dev/nvidia-uvm-tools")


def test_nodes_of_another_dev_root() -> None:
    made = plan()
    made["gpus"][0]["nodes"] = [node("/dev/nvidia1", "/run/driver/dev/nvidia1")]
    found = Machine({}, made).start("run", "cuda", env={"NV_GPU": "0"}).argv
    assert found[4] == "--device=/run/driver/dev/nvidia1:/dev/nvidia1"


def test_mig_devices_which_it_did_not_know() -> None:
    made = plan(mig={2: 2})
    found = Machine({}, made).start("run", "cuda", env={"NV_GPU": "2:1"}).argv
    own = ["--device=" + each["path"] for each in made["gpus"][2]["instances"][1]["nodes"]]
    assert found[4 : 4 + len(own)] == tuple(own)
    assert found[4 + len(own) : -1] == VOL
    with pytest.raises(RefusedError, match="cannot be had whole"):
        Machine({}, made).start("run", "cuda", env={"NV_GPU": "2"})


def test_labels_that_docker_calls_no_value() -> None:
    machine = Machine({"image_labels": {"plain": {VOLUMES: "<no value>"}}})
    assert machine.start("run", "plain").argv == ("docker", "run", "plain")
