"""nvidia-docker 2: the wrapper's cases, what it hit by mistake, and whatever asks for GPUs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from gpudock.compat import v2
from gpudock.compat.cli_start import Start
from gpudock.engine import detect, endpoint, prepare
from gpudock.engine.base import Wish
from gpudock.engine.local import Here
from gpudock.errors import GpudockError, HostError, RefusedError, UsageError
from gpudock.host import nvml_turn
from gpudock.proc import Result
from unit.compat.v1_machine import CASES
from unit.engine import machine
from unit.engine.wishes import KERNEL
from unit.recorded import Recorder

DATA = Path(__file__).parents[2] / "data/engines"
WRAPPER = [case for case in CASES if case["system"] == "wrapper"]
ALL = ("--device", "nvidia.com/gpu=all.compute.utility")
INFO_AND_IMAGE = (("info",), ("image",))
ABSENT = Result(1, "", "Error: No such image: image")


def device(name: str) -> tuple[str, ...]:
    return ("--device", f"nvidia.com/gpu={name}.compute.utility")


def config(environment: Mapping[str, str] | None = None) -> str:
    return json.dumps({"Env": [f"{name}={value}" for name, value in (environment or {}).items()], "Labels": None})


class Host:
    """Two GPUs, and a docker that answers from a table."""

    def __init__(self, folder: Path) -> None:
        self.where = machine.places(folder)
        info = json.loads((DATA / "docker-28.5.2.json").read_text()) | {"CDISpecDirs": [self.where.cdi]}
        self.answers: dict[tuple[str, ...], Result | str] = {
            ("docker", "info"): json.dumps(info),
            ("docker", "image"): config(),
        }
        self.pulled: list[tuple[str, ...]] = []
        self.pull_code = 0
        self.program: str | None = "/usr/bin/docker"
        self.runner = Recorder(self.answers)

    def with_runtime(self, name: str) -> None:
        """Docker 20.10, which has no CDI."""
        info = json.loads((DATA / "docker-20.10.24.json").read_text())
        info["Runtimes"][name] = {"path": name}
        self.answers["docker", "info"] = json.dumps(info)

    def image(self, environment: Mapping[str, str]) -> None:
        self.answers["docker", "image"] = config(environment)

    def start(self, *words: str, env: Mapping[str, str] | None = None, files: Mapping[str, str] | None = None) -> Start:
        environment = {"HOME": "/nowhere", **(env or {})}
        tools = v2.Tools(
            self.runner,
            lambda: detect.Machine(
                environment, lambda _: self.program, bool, endpoint.Files(lambda _: None, lambda _: []), KERNEL, True
            ),
            self._engine,
            lambda path: (files or {})[path],
        )
        return v2.start(words, environment, tools)

    def _engine(self, wish: Wish) -> prepare.Tools:
        here = Here((self.where,), (), self.where.state + "/sys")
        return prepare.Tools(self.runner, self._pull, here, None, dry_run=wish.arguments.dry_run, uid=1000)

    def _pull(self, argv: tuple[str, ...]) -> int:
        self.pulled.append(argv)
        if not self.pull_code:
            self.answers["docker", "image"] = config({"NVIDIA_VISIBLE_DEVICES": "1"})
        return self.pull_code


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """Without a driver."""
    monkeypatch.setattr(nvml_turn, "folder", lambda: str(tmp_path / "turn"))
    return Host(tmp_path)


@pytest.fixture
def host(bare: Host) -> Host:
    machine.own(bare.where)
    return bare


@pytest.mark.parametrize("case", WRAPPER, ids=[case["id"] for case in WRAPPER])
def test_the_wrappers_cases(host: Host, case: dict[str, Any]) -> None:
    """Where it added the runtime, there is the runtime and the same GPUs; every word of the user's is where it was."""
    expected = case["expect"]["argv"]
    host.with_runtime("nvidia")
    if case["env"].get("NV_GPU") == "GPU-abc":  # the wrapper let the runtime refuse it
        with pytest.raises(GpudockError, match="GPU-abc"):
            host.start(*case["argv"], env=case["env"])
        return
    host.answers |= {("docker", "-H", "tcp://x:1", *rest): host.answers["docker", rest[0]] for rest in INFO_AND_IMAGE}
    found = host.start(*case["argv"], env=case["env"]).argv
    if "--runtime=nvidia" not in expected:
        assert found == ("docker", *expected)
        return
    at = found.index("--runtime")
    assert found[at + 1 : at + 3] == ("nvidia", "-e")
    name, _, visible = found[at + 3].partition("=")
    assert name == "NVIDIA_VISIBLE_DEVICES"
    assert visible == "all" or len(visible.split(",")) == 2  # the fixture's two GPUs, for 0,1
    end = at + (6 if found[at + 4] == "-e" else 4)
    assert (*found[1:at], *found[end:]) == tuple(case["argv"])


@pytest.mark.parametrize(
    "words",
    [
        *("network create foo", "volume create v", "exec c run", "service create image", "compose run web", "ps -a"),
        *("image ls", "container exec c create", "run", "run --help image", "run --name", "container", "create --rm"),
        *("run --gpus all --gpus 1 image", "run --engine podman image", "-- run image", "--help run image"),
    ],
)
def test_what_is_dockers_own_stays_as_it_is(bare: Host, words: str) -> None:
    found = bare.start(*words.split(), env={"NV_GPU": "0"})
    assert found == Start(("docker", *words.split()))
    assert bare.runner.asked == []


def test_any_image_gets_all_gpus(host: Host) -> None:
    for words in (("run", "--rm"), ("create", "-it"), ("container", "run", "-d")):
        assert host.start(*words, "image", "ls").argv == ("docker", words[-2], words[-1], *ALL, "image", "ls")


def test_version(bare: Host) -> None:
    assert bare.start("-D", "version") == Start(("docker", "-D", "version"), banner="NVIDIA Docker: 2.13.0\n")


UUIDS = ("GPU-00000000-1111-4222-8333-444455556666", "GPU-00000001-1111-4222-8333-444455556666")


@pytest.mark.parametrize(
    ("value", "names"),
    [("0, 1", "01"), ("0 1", "01"), ("0,,1", "01"), ("GPU-00000000 GPU-00000001", UUIDS)],
)
def test_nv_gpu(host: Host, value: str, names: Sequence[str]) -> None:
    both = (*device(names[0]), *device(names[1]))
    assert host.start("run", "image", env={"NV_GPU": value}).argv == ("docker", "run", *both, "image")


def test_who_asks_first(host: Host) -> None:
    """--gpus, -e, NV_GPU, --env-file, the image."""
    host.image({"NVIDIA_VISIBLE_DEVICES": "1"})
    zero, one = device("0"), device("1")
    files = {"file": "NVIDIA_VISIBLE_DEVICES=0"}
    by_flag = ("-e", "NVIDIA_VISIBLE_DEVICES=1")
    for words, env, wanted in (
        ((), {}, one),
        (("--env-file", "file"), {}, zero),
        (("--env-file", "file"), {"NV_GPU": "1"}, one),
        (by_flag, {"NV_GPU": "0"}, one),
        (("-e", "NVIDIA_VISIBLE_DEVICES"), {"NVIDIA_VISIBLE_DEVICES": "0", "NV_GPU": "1"}, zero),
        (("-e", "NVIDIA_VISIBLE_DEVICES"), {}, ALL),  # taken away
        ((*by_flag, "--gpus", "device=0"), {"NV_GPU": "1"}, zero),
    ):
        found = host.start("run", *words, "image", env=env, files=files).argv
        assert found[-3:] == (*wanted, "image"), (words, env)


@pytest.mark.parametrize("value", ["none", "void", ""])
def test_who_wants_none_gets_none(host: Host, value: str) -> None:
    variable = f"NVIDIA_VISIBLE_DEVICES={value}"
    assert host.start("run", "-e", variable, "image").argv == ("docker", "run", "-e", variable, "image")
    assert host.start("run", "--gpus", "none", "image").argv == ("docker", "run", "image")
    host.image({"NVIDIA_VISIBLE_DEVICES": value})
    assert host.start("run", "image").argv == ("docker", "run", "image")


def test_named_devices_are_all_that_is_wanted(host: Host) -> None:
    words = ("--device", "nvidia.com/gpu=1")
    assert host.start("run", *words, "image") == Start(("docker", "run", *words, "image"))
    with pytest.raises(UsageError, match="twice"):
        host.start("run", *words, "--gpus", "all", "image")


@pytest.mark.parametrize("word", ["nvidia", "gpudock"])
def test_the_runtime_of_old_means_with_gpus(host: Host, word: str) -> None:
    for words in ((f"--runtime={word}",), ("--runtime", word)):
        assert host.start("run", "--rm", *words, "image").argv == ("docker", "run", "--rm", *ALL, "image")
    assert host.start("run", "--name", "--runtime=nvidia", "image").argv[2:4] == ("--name", "--runtime=nvidia")


def test_other_runtimes_stay(host: Host) -> None:
    assert host.start("run", "--runtime=runc", "image").argv == ("docker", "run", "--runtime=runc", *ALL, "image")


def test_dockers_own_options_reach_the_questions_as_well(host: Host) -> None:
    for words in (("-D", "-H", "unix:///x"), ("-Hunix:///x",), ("--host=unix:///x", "-l", "debug")):
        host.runner.asked.clear()
        host.answers |= {("docker", *words, *rest): host.answers["docker", rest[0]] for rest in INFO_AND_IMAGE}
        assert host.start(*words, "run", "image").argv == ("docker", *words, "run", *ALL, "image")
        assert all(command.argv[: len(words) + 1] == ("docker", *words) for command in host.runner.asked[:2])


def test_a_docker_elsewhere_is_not_given_this_machines_gpus(host: Host) -> None:
    for words, env in (
        (("-H", "tcp://lab:1"), {}),
        ((), {"DOCKER_HOST": "tcp://lab:1"}),
        ((), {"NV_DOCKER": "docker -Htcp://lab:1"}),
    ):
        start = (*env.get("NV_DOCKER", "docker").split(), *words)
        host.answers |= {(*start, *rest): host.answers["docker", rest[0]] for rest in INFO_AND_IMAGE}
        with pytest.raises(GpudockError, match="tcp://lab:1"):
            host.start(*words, "run", "image", env=env)


@pytest.mark.parametrize(
    ("words", "added"),
    [
        ("", "NVIDIA_VISIBLE_DEVICES=all"),
        ("--gpus device=0,1", "NVIDIA_VISIBLE_DEVICES=0,1"),
        ("--gpus 2", "NVIDIA_VISIBLE_DEVICES=0,1"),
        ("--gpus 1,capabilities=video", "NVIDIA_VISIBLE_DEVICES=0 -e NVIDIA_DRIVER_CAPABILITIES=video"),
    ],
)
def test_the_runtime_of_a_docker_elsewhere_judges_itself(host: Host, words: str, added: str) -> None:
    host.with_runtime("nvidia")
    found = host.start("run", *words.split(), "image", env={"DOCKER_HOST": "tcp://lab:1"}).argv
    assert found == ("docker", "run", "--runtime", "nvidia", "-e", *added.split(), "image")
    with pytest.raises(UsageError, match="one runtime"):
        host.start("run", "--runtime=runc", "image", env={"DOCKER_HOST": "tcp://lab:1"})


def test_nv_docker(host: Host) -> None:
    host.answers |= {("sudo", "docker", *rest): host.answers["docker", rest[0]] for rest in INFO_AND_IMAGE}
    found = host.start("run", "image", env={"NV_DOCKER": "sudo docker"})
    assert found.argv == ("sudo", "docker", "run", *ALL, "image")
    host.program = None
    with pytest.raises(HostError, match="nosuch is not installed"):
        host.start("run", "image", env={"NV_DOCKER": "nosuch docker"})


def test_nv_host_is_not_followed_in_silence(host: Host) -> None:
    assert "no effect" in host.start("run", "image", env={"NV_HOST": "lab:"}).notes[0]


def test_a_missing_image_is_pulled_once_and_asked(host: Host) -> None:
    host.answers["docker", "image"] = ABSENT
    assert host.start("run", "--pull", "always", "image").argv == (
        "docker",
        "run",
        "--pull",
        "always",
        *device("1"),
        "image",
    )
    assert len(host.pulled) == 1


def test_an_image_that_cannot_be_pulled(host: Host) -> None:
    """The code is that of docker's own run and create, which a script may look at."""
    host.answers["docker", "image"], host.pull_code = ABSENT, 1
    found = host.start("run", "image")
    assert (found.argv, found.failed) == ((), 125)
    assert host.start("run", "image", env={"NV_GPU": "0"}).failed == 125
    assert host.start("create", "image").failed == 1


def test_a_dry_run(host: Host) -> None:
    host.answers["docker", "image"] = ABSENT
    found = host.start("run", "--dry-run", "image")
    assert (found.argv, found.dry_run) == (("docker", "run", *ALL, "image"), True)
    assert host.pulled == []
    assert host.start("run", "--dry-run", "--gpus", "none", "image") == Start(("docker", "run", "image"), dry_run=True)


def test_a_machine_without_a_driver(bare: Host) -> None:
    found = bare.start("run", "--rm", "image")
    assert found.argv == ("docker", "run", "--rm", "image")
    assert "no NVIDIA driver" in found.notes[0]
    for words, env in ((("--gpus", "1"), {}), ((), {"NV_GPU": "0"}), (("-e", "NVIDIA_VISIBLE_DEVICES=all"), {})):
        with pytest.raises(HostError):
            bare.start("run", *words, "image", env=env)


def test_unknown_gpus_are_refused_before_anything_starts(host: Host) -> None:
    with pytest.raises(RefusedError, match="NV_GPU asks for 7"):
        host.start("run", "image", env={"NV_GPU": "7"})
    host.image({"NVIDIA_VISIBLE_DEVICES": "7"})
    with pytest.raises(RefusedError, match="the image's NVIDIA_VISIBLE_DEVICES asks for 7"):
        host.start("run", "image")
