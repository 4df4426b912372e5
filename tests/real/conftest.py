"""Real engines for tests/real, each started when a test first asks for it. See harness/."""

import compileall
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import gpudock
from real import env_stage
from real.env_stage import Stage
from real.harness import archive, engines, leftovers, turn
from real.harness.engines import Engine


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What the archive does not give cannot be tested, and is said as deselected: Ubuntu has no Docker without CDI."""
    elsewhere = {item for item in items if "docker20" in getattr(item, "fixturenames", ()) or "docker20" in item.name}
    if not elsewhere or not engines.host_docker_has_cdi():
        elsewhere = set()
    if archive.distribution() != "debian":
        elsewhere |= {item for item in items if item.get_closest_marker("debian")}
    if elsewhere:
        config.hook.pytest_deselected(items=list(elsewhere))
        items[:] = [item for item in items if item not in elsewhere]


@pytest.fixture(scope="session", autouse=True)
def session_root(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The session's private folder. After everything else of the session it sees to it that the machine is as it was."""
    if os.geteuid() != 0:
        pytest.fail("the tests in tests/real start container engines and mount: run them as root")
    with ExitStack() as stack:
        if not leftovers.PART:  # who starts the parts has taken the turn
            stack.enter_context(turn.taken(request.config.get_terminal_writer().line))
        if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # by a shell that started us behind itself
            signal.signal(signal.SIGINT, signal.default_int_handler)
        # As an installation has it: where Python keeps nothing compiled, each of thousands of starts compiles all again.
        compileall.compile_dir(Path(gpudock.__file__).parent, quiet=2)
        folder = leftovers.session_folder()
        traces = leftovers.EngineTraces()
        before = leftovers.Machine.snapshot(folder)
        # Who asks what engines there are would otherwise make the machine's own Podman set itself up.
        environment = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in engines.podman_settings(folder / "unasked", "vfs").items():
            environment.setenv(name, value)
        # Who reads the GPUs leaves the lock of its turn where it runs.
        environment.setenv("GPUDOCK_RUN_DIR", str(folder / "unasked-run"))
        yield folder
        traces.remove()
        left = leftovers.settled_differences(before, folder)
        leftovers.clear(folder)
        assert not left, "the tests left the machine changed:\n" + "\n".join(left)


def _started(name: str, root: Path) -> Iterator[Engine]:
    with engines.START[name](root / name) as engine:
        yield engine


@pytest.fixture(scope="session")
def podman(session_root: Path) -> Iterator[Engine]:
    """The distribution's Podman, with CDI."""
    engines.check_runroot(f"{session_root}/podman/run")
    yield from _started("podman", session_root)


@pytest.fixture(scope="session")
def docker20(session_root: Path) -> Iterator[Engine]:
    """Docker 20.10, without CDI."""
    yield from _started("docker20", session_root)


@pytest.fixture(scope="session")
def docker28(session_root: Path) -> Iterator[Engine]:
    """Docker with CDI."""
    yield from _started("docker28", session_root)


@pytest.fixture(scope="session")
def env_docker(session_root: Path) -> Iterator[Stage]:
    """Docker with CDI, bridges and published ports, for environments."""
    session_root.chmod(0o755)  # users of containers reach their projects
    with env_stage.docker(session_root / "env-docker") as stage:
        yield stage


@pytest.fixture(scope="session")
def env_podman(session_root: Path) -> Iterator[Stage]:
    session_root.chmod(0o755)
    with env_stage.quiet_networks(), env_stage.podman(session_root / "env") as stage:
        yield stage


@pytest.fixture(params=tuple(engines.START))
def any_engine(request: pytest.FixtureRequest) -> Engine:
    """Each of the three in turn."""
    engine: Engine = request.getfixturevalue(request.param)
    return engine


@pytest.fixture(params=("podman", "docker28"))
def cdi_engine(request: pytest.FixtureRequest) -> Engine:
    """Each of those that know CDI in turn."""
    engine: Engine = request.getfixturevalue(request.param)
    return engine
