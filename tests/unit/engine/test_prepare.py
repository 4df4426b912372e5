"""The whole way from a wish to a command, with engines that answer from a table and a machine in a folder."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from gpudock.engine.asked import Asked
from gpudock.engine.base import Client, Decision, Wish
from gpudock.engine.image import PullFailed
from gpudock.engine.local import Here, Refresh
from gpudock.engine.offer import MissingVariantError
from gpudock.engine.prepare import Tools, prepare
from gpudock.errors import EngineError, HostError, RefusedError
from gpudock.host import nvml_turn
from gpudock.proc import Result
from gpudock.refresh.current import StaleError
from gpudock.refresh.paths import Paths
from unit.engine import machine
from unit.engine.wishes import DOCKER, PODMAN, wish
from unit.recorded import Recorder

INFO = (Path(__file__).parents[2] / "data/engines/docker-28.5.2.json").read_text()
STALE = "0f0e0d0c-0b0a-4908-8706-050403020100"
ABSENT = Result(1, "", "Error: No such image: image")
REFUSED = Result(1, "", "Cannot connect to the Docker daemon at unix:///var/run/docker.sock.")


def config(environment: Mapping[str, str] | None = None) -> str:
    return json.dumps({"Env": [f"{name}={value}" for name, value in (environment or {}).items()], "Labels": None})


def answers(where: Paths, **changed: Result | str) -> dict[tuple[str, ...], Result | str]:
    """Docker 28 that reads the test's folder, and podman 4.3, which does not."""
    info = json.loads(INFO) | {"CDISpecDirs": [where.cdi]}
    return {
        ("docker", "info"): changed.get("info", json.dumps(info)),
        ("docker", "image"): changed.get("image", config()),
        ("podman", "--version"): changed.get("podman", "podman version 4.3.1"),
        ("podman", "image"): changed.get("image", config()),
    }


def prepared(
    wanted: Wish,
    where: Paths,
    table: dict[tuple[str, ...], Result | str],
    *,
    clients: tuple[Client, ...] = (DOCKER,),
    refresh: Refresh | None = None,
    pull: int = 0,
) -> Decision:
    run = Recorder(table)

    def pulled(argv: tuple[str, ...]) -> int:
        assert argv[1] == "pull"
        table["docker", "image"] = config()
        return pull

    here = Here((where,), (), where.state + "/sys")
    tools = Tools(run, pulled, here, refresh, dry_run=wanted.arguments.dry_run, uid=1000)
    return prepare(wanted, clients, Asked(clients[0], wanted.arguments.image, run), tools)


@pytest.fixture
def where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.setattr(nvml_turn, "folder", lambda: str(tmp_path / "turn"))
    return machine.places(tmp_path)


def test_the_usual_case(where: Paths) -> None:
    machine.own(where)
    found = prepared(wish("--rm", "--gpus", "1", "image", "sh"), where, answers(where))
    assert found.argv == ("docker", "run", "--rm", "--device", "nvidia.com/gpu=0.compute.utility", "image", "sh")
    assert found.notes == ()


def test_a_docker_that_does_not_answer_is_followed_by_podman(where: Paths) -> None:
    machine.own(where)
    table = answers(where, info=REFUSED, podman="podman version 5.5.0")
    found = prepared(wish("--gpus", "all", "image"), where, table, clients=(DOCKER, PODMAN))
    assert found.argv[3:5] == (f"--cdi-spec-dir={where.cdi}", "run")
    assert found.notes == ("Docker is not running. podman is used instead.",)
    with pytest.raises(EngineError, match="Docker is not running"):
        prepared(wish("--gpus", "all", "image"), where, answers(where, info=REFUSED))


def test_an_engine_that_looks_elsewhere_is_not_started(where: Paths) -> None:
    machine.own(where)
    with pytest.raises(EngineError, match="This podman does not look for CDI specifications in"):
        prepared(wish("--gpus", "all", "image"), where, answers(where), clients=(PODMAN,))


def test_a_missing_image_is_pulled_but_not_in_a_dry_run(where: Paths) -> None:
    machine.own(where)
    wanted = wish("--gpus", "all", "image")
    assert prepared(wanted, where, answers(where, image=ABSENT)).notes == ()
    with pytest.raises(PullFailed):
        prepared(wanted, where, answers(where, image=ABSENT), pull=125)
    dry = prepared(wish("--dry-run", "--gpus", "all", "image"), where, answers(where, image=ABSENT), pull=125)
    assert "image is not here" in dry.notes[0]


def test_a_root_file_system_of_podmans_has_no_image(where: Paths) -> None:
    machine.own(where)
    table = answers(where, image=Result(125, "", "Error: invalid reference"), podman="podman version 5.5.0")
    found = prepared(wish("--gpus", "all", "--rootfs", "/tree", "sh"), where, table, clients=(PODMAN,))
    assert found.argv[-2:] == ("/tree", "sh")


def test_a_stale_plan(where: Paths) -> None:
    machine.own(where, boot_id=STALE)
    wanted = wish("--gpus", "all", "image")
    with pytest.raises(StaleError):
        prepared(wanted, where, answers(where))
    assert prepared(wanted, where, answers(where), refresh=lambda _: machine.own(where)).argv[0] == "docker"


def test_capabilities_that_were_not_prepared(where: Paths) -> None:
    machine.own(where)
    wanted = wish("--gpus", 'all,"capabilities=compute,video"', "image")
    with pytest.raises(MissingVariantError, match="not prepared"):
        prepared(wanted, where, answers(where))

    def refresh(sets: tuple[tuple[str, ...], ...]) -> None:
        assert sets == (("compute", "video"),)
        machine.own(where, extra=sets[0])

    found = prepared(wanted, where, answers(where), refresh=refresh)
    assert "nvidia.com/gpu=all.compute.video" in found.argv


def test_an_unmet_requirement_starts_nothing(where: Paths) -> None:
    machine.own(where)
    table = answers(where, image=config({"NVIDIA_REQUIRE_DRIVER": "driver>=999"}))
    with pytest.raises(RefusedError, match="NVIDIA_REQUIRE_DRIVER"):
        prepared(wish("--gpus", "all", "image"), where, table)


def test_somebody_elses_specification(where: Paths) -> None:
    machine.foreign(Path(where.cdi))
    wanted = wish("--gpus", 'device=0,"capabilities=utility"', "image")
    found = prepared(wanted, where, answers(where))
    assert "nvidia.com/gpu=0" in found.argv
    assert "not only utility" in found.notes[0]
    broken = {"containerEdits": {"mounts": [{"hostPath": "/gone", "containerPath": "/x"}]}}
    machine.foreign(Path(where.cdi), changes=broken)
    with pytest.raises(HostError, match="does not fit"):
        prepared(wanted, where, answers(where))


def test_another_machines_engine_never_uses_this_machines_plan(where: Paths) -> None:
    machine.own(where)
    info = json.loads(INFO) | {"KernelVersion": "5.15.0", "CDISpecDirs": ["/etc/cdi"]}
    with pytest.raises(EngineError, match="not known here"):
        prepared(wish("--gpus", "all", "image"), where, answers(where, info=json.dumps(info)))
    info["DiscoveredDevices"] = [{"Source": "cdi", "ID": f"nvidia.com/gpu={name}"} for name in ("0", "1")]
    found = prepared(wish("--gpus", "1", "image"), where, answers(where, info=json.dumps(info)))
    assert "nvidia.com/gpu=0" in found.argv
