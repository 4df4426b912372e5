"""Every shape of the corpus in every style: who asks gets exactly that, and nothing else of the file changes."""

from pathlib import Path

import pytest
import yaml

from gpudock.compat.compose import document
from gpudock.errors import GpudockError
from unit.compat.compose.conftest import Make
from unit.compat.compose.sessions import CASES, gpus_of, reserved, services
from unit.machines import VERSION

GOOD = [name for name, case in CASES.items() if not case.get("refused")]
MARKS = ("gpus", "x-gpudock", "enable_cuda")
GPU_KEYS = (
    *MARKS,
    "deploy",
    "runtime",
    "environment",
    "devices",
    "volumes",
    "volume_driver",
    "extends",
    "build",
    "env_file",
)


@pytest.mark.parametrize("engine", ["cdi", "runtime", "podman"])
@pytest.mark.parametrize("name", GOOD)
def test_each_service_gets_what_it_asks_for(make_lab: Make, name: str, engine: str) -> None:
    lab = make_lab(engine)
    case = lab.case(name)
    before = {path: path.read_bytes() for path in lab.folder.rglob("*") if path.is_file()}
    start = lab.compose(*case.get("words", ()), "up", "-d")
    found = services(start)
    if name != "extends-file":
        assert {service: gpus_of(found[service]) for service in case["gpus"]} == case["gpus"]
        assert not any(mark in body for body in found.values() for mark in MARKS)
    assert start.argv[-2:] == ("up", "-d")
    assert {path: path.read_bytes() for path in lab.folder.rglob("*") if path.is_file()} == before
    if engine == "runtime":
        assert not any(
            str(name).startswith("nvidia.com") for body in found.values() for name in body.get("devices", [])
        )


@pytest.mark.parametrize("style", ["reservation", "volume"])
@pytest.mark.parametrize("name", GOOD)
def test_other_styles_too(make_lab: Make, name: str, style: str) -> None:
    lab = make_lab("cdi")
    lab.recorder.answers = {**lab.recorder.answers, ("docker", "volume"): "{}"}
    case = lab.case(name)
    start = lab.compose(*case.get("words", ()), "--style", style, "up")
    found = services(start)
    for service, gpus in case["gpus"].items():
        assert gpus_of(found[service]) == gpus, service
        drivers = {entry["driver"] for entry in reserved(found[service])} - {"somebody"}
        assert drivers == ({"nvidia"} if gpus and style == "reservation" else set())
        if gpus and style == "volume":
            assert f"nvidia_driver_{VERSION}:/usr/local/nvidia:ro" in found[service]["volumes"]
            assert "/dev/nvidiactl" in found[service]["devices"]


@pytest.mark.parametrize("engine", ["cdi", "runtime", "podman"])
@pytest.mark.parametrize("name", GOOD)
def test_comments_order_and_the_rest_are_kept(make_lab: Make, name: str, engine: str) -> None:
    lab = make_lab(engine)
    case = lab.case(name)
    start = lab.compose(*case.get("words", ()), "up")
    assert start.texts
    for text in start.texts.values():
        head, _, made = text.partition("\n")
        original = Path(head.removeprefix("# Made by gpudock from ").partition(":")[0])
        old = original.read_text()
        comments = [line.partition("#")[2] for line in old.splitlines() if "#" in line]
        assert [comment for comment in comments if comment not in made] == []
        before, after = yaml.safe_load(old), yaml.safe_load(made)
        assert list(after["services"]) == list(before["services"])
        for service, body in before["services"].items():
            rest = {key: value for key, value in body.items() if key not in GPU_KEYS}
            assert {key: after["services"][service].get(key) for key in rest} == rest
            kept = [key for key in after["services"][service] if key in body]
            assert kept == [key for key in body if key in kept] or "<<" in old


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.get("refused")])
def test_what_is_wrong_is_said_with_file_and_line(make_lab: Make, name: str) -> None:
    lab = make_lab()
    case = lab.case(name)
    with pytest.raises(GpudockError) as caught:
        lab.compose("up")
    assert case["refused"] in f"{caught.value.what} {caught.value.mend}"
    assert str(lab.folder / "docker-compose.yml") in caught.value.what
    assert caught.value.exit_code == (5 if name == "unknown-gpu" else 3)


def test_the_corpus_is_as_large_as_it_says() -> None:
    assert len(CASES) >= 25
    assert sum(name.startswith("issue-") for name in CASES) == 7
    for name in GOOD:
        for path in (Path(__file__).parents[3] / "data/compose" / name).rglob("*.yml"):
            assert document.load(str(path), path.read_text()).value == yaml.safe_load(path.read_text())
