"""nvidia-docker-compose: its conformance cases, and what its issues asked for."""

import http.client
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpudock.compat.compose import project
from gpudock.compat.compose.plugin import NoPluginError
from gpudock.compat.compose.session import Start
from gpudock.errors import EngineError, GpudockError, InputError, RefusedError, UsageError
from gpudock.proc import Result
from unit.compat.compose.conftest import Make
from unit.compat.compose.sessions import Lab, gpus_of

DATA = Path(__file__).parents[3] / "data/nvidia-docker"
CASES = [case for case in json.loads((DATA / "cases.json").read_text()) if case["system"] == "compose"]
TELLS = json.loads((DATA / "docker_cli_json.out").read_text())
PLAIN = 'version: "2"\nservices:\n  cuda:\n    image: nvidia/cuda\n'


class Plugin:
    """nvidia-docker-plugin on the machine of the fixture; `asked` are the paths."""

    def __init__(self, told: object = None, status: int = http.client.OK) -> None:
        self.told = TELLS if told is None else told
        self.status = status
        self.asked: list[tuple[str, str]] = []

    def __call__(self, address: str, path: str, seconds: float) -> tuple[int, bytes]:
        assert seconds <= 10
        self.asked.append((address, path))
        return self.status, (self.told if isinstance(self.told, str) else json.dumps(self.told)).encode()


@pytest.fixture
def old(lab: Lab) -> Lab:
    """A machine with nvidia-docker 1's plugin."""
    lab.fetch = Plugin()
    lab.recorder.answers = {**lab.recorder.answers, ("docker", "volume", "inspect"): "[]"}
    return lab


def named(lab: Lab, texts: Any) -> dict[str, Any]:
    return {str(Path(path).relative_to(lab.folder)): yaml.safe_load(text) for path, text in texts.items()}


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_conformance(old: Lab, case: dict[str, Any]) -> None:
    for name, text in case["files"].items():
        (old.folder / name).write_text(text)
    old.environment.update(case.get("env", {}))
    start = old.drop_in(*case["argv"])
    expect = case["expect"]
    argv = expect.get("argv")
    assert start.argv == (() if argv is None else ("docker-compose", *argv))
    made = named(old, start.texts)
    for name, value in expect.get("files", {}).items():
        assert made[name] == value
    assert not set(expect.get("absent", ())) & set(made)
    assert start.code == expect["rc"]


def test_all_cases_are_there() -> None:
    assert len(CASES) == 9


@pytest.mark.parametrize("words", [("--version",), ("-v",), ("version", "--short"), ("help", "up")])
def test_what_needs_no_file_asks_for_none(old: Lab, words: tuple[str, ...]) -> None:
    assert old.drop_in(*words) == Start(("docker-compose", *words))


def test_no_file_is_its_own_error(old: Lab) -> None:
    with pytest.raises(project.NoFileError):
        old.drop_in("up")


def test_a_shared_list_is_not_extended_twice(old: Lab) -> None:
    old.write(
        docker_compose_yml='version: "2"\nservices:\n  a: {image: x, volumes: &v ["./x:/x"]}\n  b: {image: y, volumes: *v}\n'
    )
    made = named(old, old.drop_in("up").texts)["nvidia-docker-compose.yml"]
    for body in made["services"].values():
        assert body["volumes"] == ["./x:/x", "nvidia_driver_367.57:/usr/local/nvidia:ro"]


def test_a_device_with_its_place_in_the_container_keeps_other_gpus_out(old: Lab) -> None:
    old.write(docker_compose_yml=PLAIN + "    devices: ['/dev/nvidia0:/dev/nvidia0']\n")
    made = named(old, old.drop_in("up").texts)["nvidia-docker-compose.yml"]
    assert made["services"]["cuda"]["devices"] == ["/dev/nvidia0:/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm"]


def test_gpus_are_counted_and_not_spelled(lab: Lab) -> None:
    nodes = [f"/dev/nvidia{index}" for index in (10, 2, 0, 1, *range(3, 10))]
    lab.fetch = Plugin({**TELLS, "Devices": ["/dev/nvidiactl", *nodes]})
    (lab.folder / "t").write_text(
        "services:\n  a:\n    image: '{{ GPU_DEVICES[2] }}-{{ GPU_DEVICES[10] }}-{{ N_GPU }}'\n"
    )
    made = named(lab, lab.drop_in("-t", "t", "-G").texts)["nvidia-docker-compose.yml"]
    assert made["services"]["a"]["image"] == "/dev/nvidia2-/dev/nvidia10-11"


def test_the_volume_is_made_when_it_is_missing(old: Lab) -> None:
    old.write(docker_compose_yml=PLAIN)
    missing = {**old.recorder.answers, ("docker", "volume", "inspect"): Result(1, "", "no such volume")}
    old.recorder.answers = {**missing, ("docker", "volume", "create"): "nvidia_driver_367.57"}
    old.drop_in("up")
    assert old.recorder.asked[-1].argv == (
        "docker",
        "volume",
        "create",
        "--driver",
        "nvidia-docker",
        "nvidia_driver_367.57",
    )
    old.recorder.answers = {**missing, ("docker", "volume", "create"): Result(1, "", "plugin not found")}
    with pytest.raises(EngineError, match="cannot make it"):
        old.drop_in("up")


def test_the_override_file_is_merged(old: Lab) -> None:
    old.write(docker_compose_yml=PLAIN)
    override = 'version: "2"\nservices:\n  cuda:\n    enable_cuda: false\n'
    (old.folder / "docker-compose.override.yml").write_text(override)
    start = old.drop_in("up")
    assert start.argv[1:-1] == ("-f", "nvidia-docker-compose.yml", "-f", "nvidia-docker-compose.2.yml")
    made = named(old, start.texts)
    assert made["nvidia-docker-compose.yml"]["services"]["cuda"] == {"image": "nvidia/cuda"}
    assert made["nvidia-docker-compose.2.yml"]["services"]["cuda"] == {}


def test_paths_keep_their_meaning_in_another_folder(old: Lab) -> None:
    (old.folder / "sub").mkdir()
    text = 'services:\n  a:\n    build: .\n    volumes: ["./x:/x", "n:/n", "~/h:/h"]\n    env_file: a.env\nvolumes: {n: }\n'
    (old.folder / "sub/docker-compose.yml").write_text(text)
    (old.folder / "sub/a.env").write_text("")
    start = old.drop_in("-f", "sub/docker-compose.yml", "up")
    sub = f"{old.folder}/sub"
    assert start.argv[1:3] == ("--project-directory", sub)
    body = named(old, start.texts)["nvidia-docker-compose.yml"]["services"]["a"]
    assert (body["build"], body["env_file"]) == (sub, f"{sub}/a.env")
    assert body["volumes"][:2] == [f"{sub}/x:/x", "n:/n"]


@pytest.mark.parametrize("name", ["nvidia-docker-compose.yml", "nvidia-docker-compose.2.yml"])
def test_an_output_that_was_planted_as_a_link_is_not_written_through(old: Lab, name: str) -> None:
    """As a project from somewhere may have it: the link leads to ~/.bashrc, or to a file of root's."""
    old.write(docker_compose_yml=PLAIN, docker_compose_override_yml=PLAIN)
    (old.folder / "docker-compose-override.yml").rename(old.folder / "docker-compose.override.yml")
    (old.folder / name).symlink_to("/etc/profile")
    with pytest.raises(RefusedError, match="is a link"):
        old.drop_in("up")
    assert old.drop_in("-o", "other.yml", "up").texts


def test_a_users_file_is_never_overwritten(old: Lab) -> None:
    old.write(docker_compose_yml=PLAIN)
    with pytest.raises(UsageError, match="one of the files that are read"):
        old.drop_in("-o", "docker-compose.yml", "up")


@pytest.mark.parametrize("engine", ["cdi", "runtime", "podman"])
def test_without_a_plugin_the_engine_decides(make_lab: Make, engine: str) -> None:
    lab = make_lab(engine)
    lab.write(
        docker_compose_yml=PLAIN
        + "  web:\n    image: nginx\n    enable_cuda: false\n  one:\n    image: x\n    gpus: 1\n"
    )
    made = named(lab, lab.drop_in("up").texts)["nvidia-docker-compose.yml"]
    assert {name: gpus_of(body) for name, body in made["services"].items()} == {"cuda": [0, 1], "web": [], "one": [0]}


def test_a_plugin_that_was_named_has_to_answer(lab: Lab) -> None:
    lab.write(docker_compose_yml=PLAIN)
    with pytest.raises(NoPluginError, match="far:1"):
        lab.drop_in("-n", "far:1", "up")


def test_a_plugin_that_was_named_is_asked(old: Lab) -> None:
    old.write(docker_compose_yml=PLAIN + "    gpus: device=1\n")
    old.drop_in("-n", "far:1", "-G")
    assert isinstance(old.fetch, Plugin)
    assert old.fetch.asked == [("far:1", "/docker/cli/json"), ("far:1", "/docker/cli/json?dev=1")]


def test_a_number_of_gpus_is_asked_for_by_index(old: Lab) -> None:
    """So that a machine which has fewer says so, and no device of another GPU comes along."""
    old.write(docker_compose_yml=PLAIN + "    gpus: 2\n")
    old.drop_in("-G")
    assert isinstance(old.fetch, Plugin)
    assert old.fetch.asked[-1][1] == "/docker/cli/json?dev=0+1"
    old.write(docker_compose_yml=PLAIN + "    gpus: 99999\n")
    with pytest.raises(RefusedError, match="asks for 99999 GPUs, and nvidia-docker-plugin has 3"):
        old.drop_in("-G")


def test_nodes_of_another_dev_root(old: Lab) -> None:
    """As the plugin tells them for a driver that was read elsewhere than in /dev."""
    root = "/run/driver"
    nodes = [f"{root}/dev/nvidia{name}:/dev/nvidia{name}" for name in ("ctl", "1", "0")]
    old.fetch = Plugin(
        {"VolumeDriver": "nvidia-docker", "Volumes": ["nvidia_driver_1.2:/usr/local/nvidia:ro"], "Devices": nodes}
    )
    old.write(docker_compose_yml=PLAIN + f"  one:\n    image: x\n    devices: ['{root}/dev/nvidia1:/dev/nvidia1']\n")
    made = named(old, old.drop_in("-G").texts)["nvidia-docker-compose.yml"]["services"]
    assert made["cuda"]["devices"] == [nodes[2], nodes[1], nodes[0]]
    assert made["one"]["devices"] == [nodes[1], nodes[0]]


@pytest.mark.parametrize(
    ("plugin", "error"),
    [
        (Plugin({"Devices": ["/dev/sda"]}), EngineError),
        (Plugin({"Devices": ["/dev/sda:/dev/nvidia0"]}), EngineError),
        (Plugin({"Devices": ["/dev/nvidia0:/dev/nvidia0:rwm --privileged"]}), EngineError),
        (Plugin("<html>", 403), EngineError),
        (Plugin("invalid device: 9\n", 400), RefusedError),
        (Plugin("<html>no plugin</html>"), EngineError),
        (Plugin({"Devices": ["--privileged"]}), EngineError),
        (Plugin({"Devices": ["/dev/nvidia0"], "Volumes": ["/:/host:rw,z", "/etc"]}), EngineError),
        (Plugin([1]), EngineError),
    ],
)
def test_nonsense_from_a_plugin_is_refused(lab: Lab, plugin: Plugin, error: type[GpudockError]) -> None:
    lab.write(docker_compose_yml=PLAIN)
    lab.fetch = plugin
    with pytest.raises(error):
        lab.drop_in("up")


def test_containers_can_be_stopped_when_the_gpus_are_gone(old: Lab) -> None:
    old.write(docker_compose_yml=PLAIN)
    (old.folder / "nvidia-docker-compose.yml").write_text("made before")
    old.fetch = Plugin("broken", 500)
    start = old.drop_in("down", "-v")
    assert start.argv == ("docker-compose", "-f", "nvidia-docker-compose.yml", "down", "-v")
    assert not start.texts
    with pytest.raises(EngineError):
        old.drop_in("up")


def test_a_bad_file_is_told_before_anybody_is_asked(old: Lab) -> None:
    old.write(docker_compose_yml="web:\n  image: x\n")
    with pytest.raises(InputError, match=r"docker-compose 1\.5"):
        old.drop_in("up")
    assert isinstance(old.fetch, Plugin)
    assert not old.fetch.asked
