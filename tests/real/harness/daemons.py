"""containerd and dockerd as a pair of child processes with all their state in one folder."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from real.harness.commands import CommandFailed, run

# Without what Docker has no use for, and what makes folders elsewhere: Kubernetes' interface, NRI, add-on programs.
_CONTAINERD_TOML = """
version = 2
root = "{folder}/containerd"
state = "{folder}/containerd-run"
disabled_plugins = [
    "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime",
    "io.containerd.nri.v1.nri", "io.containerd.internal.v1.opt",
]
"""


# The machine's network stays as it is: no bridge, no rules, no forwarding.
NO_NETWORK = ("--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false", "--userland-proxy=false")


@contextmanager
def docker(folder: Path, env: Mapping[str, str], network: Sequence[str] = NO_NETWORK) -> Iterator[None]:
    """Runs Docker at unix://FOLDER/docker.sock, configured by FOLDER/daemon.json, with the programs that env's PATH finds."""
    containerd_socket = folder / "containerd.sock"
    # A containerd of its own: dockerd would otherwise use the machine's, where one runs.
    (folder / "containerd.toml").write_text(_CONTAINERD_TOML.format(folder=folder))
    containerd = ["containerd", "--config", f"{folder}/containerd.toml", "--address", str(containerd_socket)]
    dockerd = [
        *("dockerd", "--config-file", f"{folder}/daemon.json", "--containerd", str(containerd_socket)),
        *("--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/docker.pid"),
        *("-H", f"unix://{folder}/docker.sock"),
        *network,
    ]
    answers = ["docker", "-H", f"unix://{folder}/docker.sock", "version", "--format", "{{json .Server}}"]
    with (
        _daemon(containerd, env, folder / "containerd.log", containerd_socket.exists),
        _daemon(dockerd, env, folder / "dockerd.log", lambda: _answers(answers, env)),
    ):
        yield


@contextmanager
def _daemon(argv: Sequence[str], env: Mapping[str, str], log: Path, ready: Callable[[], bool]) -> Iterator[None]:
    # A session of its own: Ctrl-C at the tests reaches the tests, which end the daemon in order.
    with log.open("w") as output:
        daemon = subprocess.Popen(
            argv, env=dict(env), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 60
        while not ready():
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise CommandFailed(f"{' '.join(argv)}\ndoes not come up; it said:\n{log.read_text()[-4000:]}")
            time.sleep(0.05)
        yield
    finally:
        daemon.terminate()
        try:
            daemon.wait(20)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def _answers(argv: Sequence[str], env: Mapping[str, str]) -> bool:
    done = run(argv, env=env, check=False)
    return done.returncode == 0 and json.loads(done.stdout) is not None
