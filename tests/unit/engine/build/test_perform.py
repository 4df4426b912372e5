"""A whole build against recorded answers of an engine: what is asked for, in which order, and what is cleaned up."""

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from gpudock.engine.build import gpus, steps, verify
from gpudock.engine.build.arguments import scan
from gpudock.engine.build.dockerfile import parse
from gpudock.engine.build.driver_files import Driver
from gpudock.engine.build.gpus import Gpus
from gpudock.engine.build.perform import perform
from gpudock.engine.build.work import FailedError, Tools, Work
from gpudock.engine.endpoint import Endpoint
from gpudock.engine.local import Here
from gpudock.engine.offer import Chosen
from gpudock.engine.podman import Podman
from gpudock.errors import EngineError, GpudockError, RefusedError
from gpudock.plan.request import ALL, Request
from gpudock.plan.requirement import Properties
from gpudock.proc import Command, Result
from unit.engine.build.archives import digest, reader, saved, tar
from unit.engine.wishes import DOCKER

CLEAN = tar({"bin/sh": b"x"})
BAKED = tar({"usr/lib/libcuda.so.580.1": b"x"})
CHOSEN = Chosen(("0.compute.utility",), ("GPU-1",), 1, ("GPU-1",), Properties("13.0", "580.1", ()), True, False)
GPUS = Gpus(CHOSEN, ("compute", "utility"), Driver("580.1"), simulated=False)
FILE = parse("FROM a\nARG B=1\n# gpudock: gpu\nRUN one\nRUN two\n", "Dockerfile")


class Engine:
    """Answers as docker does, and keeps what it was asked."""

    def __init__(self, layer: bytes = CLEAN, code: int = 0, **committed: object) -> None:
        self.layer, self.code, self.committed = layer, code, committed
        self.asked: list[tuple[str, ...]] = []
        self.files: list[str] = []

    def run(self, command: Command) -> Result:
        self.asked.append(command.argv)
        if command.argv[1:3] != ("image", "inspect"):
            return Result(0, "", "")
        config: dict[str, object] = {"Env": ["PATH=/bin"], "Cmd": ["c"], "Labels": {"gpudock.build-argument.B": "1"}}
        if command.argv[-1].startswith("gpudock-build/"):
            config |= self.committed
        return Result(0, json.dumps([{"Config": config, "RootFS": {"Layers": [digest(self.layer)]}}]), "")

    def show(self, argv: tuple[str, ...]) -> int:
        self.asked.append(argv)
        if argv[1] == "run":
            return self.code
        self.files.append(Path(argv[argv.index("--file") + 1]).read_text())
        Path(argv[argv.index("--iidfile") + 1]).write_text("sha256:" + str(len(self.files)) * 64)
        return 0

    def attached(self, argv: tuple[str, ...], env: Mapping[str, str] | None) -> int:
        assert env is None
        return self.show(argv)

    @contextmanager
    def reading(self, argv: tuple[str, ...]) -> Iterator[Callable[[int], bytes]]:
        self.asked.append(argv)
        yield reader(saved(self.layer))

    def work(self, folder: Path, *words: str) -> Work:
        tools = Tools(self.run, self.attached, self.show, self.reading, lambda _: None, {})
        return Work(DOCKER, scan(words), GPUS, tools, str(folder), ("docker", "build"), None, cdi=True)


def test_a_marked_step(tmp_path: Path) -> None:
    engine = Engine()
    work = engine.work(tmp_path, "-t", "mine", "--network", "host", "--no-cache", "--label", "l", str(tmp_path))
    image = steps.build(work, FILE)
    assert image == "sha256:" + "3" * 64
    first, asking, last = engine.files
    assert first == "FROM a\nARG B=1\n"
    assert asking.endswith('LABEL gpudock.build-argument.B="${B}"\n')
    assert last.splitlines()[1:] == ['ARG B="1"', "ENTRYPOINT []", 'CMD ["c"]', "RUN two"]
    builds = [argv for argv in engine.asked if argv[1] == "build"]
    assert ["--no-cache" in argv for argv in builds] == [True, False, True]
    assert all("-t" not in argv and argv[-2:] == ("--", str(tmp_path)) for argv in builds)
    (run,) = (argv for argv in engine.asked if argv[1] == "run")
    assert run[4:] == (
        *("--network", "host", "--device", "nvidia.com/gpu=0.compute.utility", "--entrypoint", "/bin/sh"),
        *("sha256:" + "1" * 64, "-c", "export B=1\none"),
    )
    tag = last.split()[1]
    assert engine.asked[-1] == ("docker", "rmi", tag)
    assert ("docker", "rm", "--force", "--volumes", tag.replace("/", "-").replace(":", "-")) in engine.asked


@pytest.mark.parametrize(("words", "refused"), [((), True), (("--target", "one"), False), (("--target", "two"), True)])
def test_what_no_container_can_do_is_told_before_anything_is_built(words: tuple[str, ...], refused: bool) -> None:
    text = "FROM a AS one\n# gpudock: gpu\nRUN b\nFROM a AS two\n# gpudock: gpu\nRUN --mount=type=cache,target=/c d\n"
    expected = pytest.raises(RefusedError, match=r"line 6: .* \(--mount works only") if refused else nullcontext()
    with expected:
        steps.check(parse(text, "Dockerfile"), scan((*words, ".")))


def test_a_step_that_fails_leaves_nothing_and_gives_its_code(tmp_path: Path) -> None:
    engine = Engine(code=7)
    with pytest.raises(FailedError) as caught:
        steps.build(engine.work(tmp_path, "."), FILE)
    assert caught.value.code == 7
    assert [argv[1] for argv in engine.asked[-2:]] == ["rm", "rmi"]
    assert "commit" not in [argv[1] for argv in engine.asked]


def test_a_commit_that_changes_settings_is_an_error(tmp_path: Path) -> None:
    engine = Engine(Env=["PATH=/bin", "HTTP_PROXY=p"], Hostname="h", Entrypoint=["/bin/sh"])
    with pytest.raises(EngineError, match="changed Env"):
        steps.build(engine.work(tmp_path, "."), FILE)


def test_without_cdi_dockers_own_flag() -> None:
    assert steps.devices(GPUS, cdi=False) == (
        *("--runtime", "gpudock", "--gpus", '"device=GPU-1","capabilities=compute,utility"'),
    )


@pytest.mark.parametrize(
    ("own", "endpoint", "told"),
    [
        ({}, "unix:///run/p.sock", True),
        ({}, "", False),
        ({"CONTAINERS_CONF_OVERRIDE": "mine"}, "unix:///p.sock", False),
    ],
)
def test_a_build_of_podmans_own_is_told_where_specifications_are(
    own: dict[str, str], endpoint: str, told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself it looks into /etc/cdi alone. Not told are one on another machine, and one that the user has told."""
    monkeypatch.setattr(gpus, "find", lambda *_: GPUS._replace(folder="/mine"))
    found: list[object] = []
    said: list[str] = []

    def attached(argv: tuple[str, ...], env: Mapping[str, str] | None) -> int:
        assert argv[-6:-4] == ("--device", "nvidia.com/gpu=0.compute.utility")
        found.append(env and tomllib.loads(Path(env["CONTAINERS_CONF_OVERRIDE"]).read_text())["engine"])
        return 3

    engine = Engine()
    tools = Tools(
        lambda _: Result(0, "podman version 5.6.0", ""), attached, engine.show, engine.reading, said.append, own
    )
    client = Podman("/usr/bin/podman", Endpoint(endpoint))
    arguments = scan((str(tmp_path), "--network=host"))
    assert perform(arguments, Request(ALL), (client,), Here(()), tools) == 3
    assert found == [{"cdi_spec_dirs": ["/etc/cdi", "/var/run/cdi", "/mine", {"append": True}]} if told else None]
    assert any("devices.allow" in line for line in said)


def test_an_image_is_named_after_it_was_looked_at(tmp_path: Path) -> None:
    engine = Engine()
    work = engine.work(tmp_path, "-t", "one", "--tag=two", "--iidfile", str(tmp_path / "mine"), ".")
    (tmp_path / "mine").write_text("old")
    verify.forget(work.arguments)
    assert not (tmp_path / "mine").exists()
    said = verify.check(DOCKER, "sha256:1", GPUS.driver, engine.run, engine.reading)
    assert said == ("looked at 1 layer: no file of the driver is in the image",)
    verify.name(DOCKER, "sha256:1", work.arguments, engine.run)
    assert engine.asked[-2:] == [("docker", "tag", "sha256:1", "one"), ("docker", "tag", "sha256:1", "two")]
    assert (tmp_path / "mine").read_text() == "sha256:1"


def test_a_baked_driver_is_named() -> None:
    engine = Engine(BAKED)
    with pytest.raises(RefusedError, match="1 file of the driver") as caught:
        verify.check(DOCKER, "sha256:1", GPUS.driver, engine.run, engine.reading)
    assert "/usr/lib/libcuda.so.580.1: a library of the driver (layer 1)" in caught.value.why


@pytest.mark.parametrize("out", ["", "[]", "null", "[1]", '[{"RootFS": null}]', "[" * 100000])
def test_an_answer_that_is_none_is_a_clear_error(out: str) -> None:
    with pytest.raises(GpudockError, match="does not have it"):
        verify.inspect(DOCKER, "sha256:1", lambda _: Result(1, out, "Error: no such image"))
