"""Docker's settings on real dockers, 20.10 and 28: written, confirmed by docker itself, taken back."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from real.harness import engines, images
from real.harness.engines import Engine
from real.test_configure import PATH, configure

pytestmark = pytest.mark.real


@pytest.fixture(scope="module", params=["docker20", "docker28"])
def docker(request: pytest.FixtureRequest, session_root: Path) -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", PATH)
        with engines.START[request.param](session_root / f"settings-{request.param}") as engine:
            yield engine


def asked(docker: Engine, *words: str, check: bool = True) -> CompletedProcess[str]:
    return configure(docker.folder.parent / "settings" / "libexec", docker.env, "docker", *words, check=check)


def test_mirrors_and_live_restore_by_a_reload(docker: Engine) -> None:
    file = docker.folder / "daemon.json"
    before = file.read_bytes() if file.exists() else None
    pid = (docker.folder / "docker.pid").read_text()
    done = asked(
        docker,
        "--restart",
        "--no-hook-name",
        "--no-cdi",
        "--live-restore",
        "--registry-mirror",
        "https://mirror.invalid",
    )
    assert "docker confirms the settings after a reload: no container was stopped" in done.stdout
    info = json.loads(docker.run("info", "--format", "{{json .}}").stdout)
    assert info["RegistryConfig"]["Mirrors"] == ["https://mirror.invalid/"]
    assert info["LiveRestoreEnabled"] is True
    assert (docker.folder / "docker.pid").read_text() == pid
    asked(docker, "--undo")
    left = json.loads(file.read_bytes() or b"{}")
    assert left == json.loads(before or b"{}")
    assert not [path.name for path in docker.folder.glob("daemon.json.*")]


def test_docker_takes_every_setting_at_its_next_start(docker: Engine) -> None:
    """Judged by dockerd itself where it can (23 and newer), and by its start: containers then have what was set."""
    file = docker.folder / "daemon.json"
    words = (
        *("--no-hook-name", "--no-cdi", "--log-max-size", "64m", "--log-max-files", "3", "--default-shm-size", "96m"),
        *("--default-ulimit", "nofile=1000:2000", "--node-resource", "gpu=GPU-1", "--node-resource", "gpu=GPU-2"),
    )
    done = asked(docker, *words)
    assert "docker must be restarted (it reads" in done.stdout
    name = docker.name
    settings = {key: value for key, value in json.loads(file.read_text()).items() if key != "runtimes"}
    start = {"docker20": engines.docker20, "docker28": engines.docker28}[name]
    with start(docker.folder.parent / f"settled-{name}", settings) as fresh:
        image = images.load(fresh, "busybox")
        info = json.loads(fresh.run("info", "--format", "{{json .}}").stdout)
        given = [each["NamedResourceSpec"]["Value"] for each in info["GenericResources"]]
        assert sorted(given) == ["GPU-1", "GPU-2"]
        script = "ulimit -Sn; ulimit -Hn; df -k /dev/shm | tail -n 1"
        fresh.run("run", "--name", "made", "--network", "none", "--runtime", "runc", image, "sh", "-c", script)
        soft, hard, shm = fresh.run("logs", "made").stdout.splitlines()
        assert (soft, hard, shm.split()[1]) == ("1000", "2000", str(96 << 10))
        logs = json.loads(fresh.run("inspect", "made", "--format", "{{json .HostConfig.LogConfig}}").stdout)
        assert logs == {"Type": "json-file", "Config": {"max-size": "64m", "max-file": "3"}}
    asked(docker, "--undo")
    assert "log-opts" not in file.read_text()


def test_a_flag_that_says_the_same_is_named(docker: Engine) -> None:
    """The tests' docker has its data root by a flag; with the key besides, it would not start again."""
    file = docker.folder / "daemon.json"
    before = file.read_bytes()
    with tempfile.TemporaryDirectory(prefix="gpudock-", dir="/var/tmp") as place:  # /tmp may be in memory
        done = asked(docker, "--no-hook-name", "--data-root", f"{place}/elsewhere", check=False)
    assert done.returncode == 5
    assert f"--data-root {docker.folder}/data" in done.stderr
    assert file.read_bytes() == before
