"""A private OpenSSH server that lets one key in and forwards, and a client that knows of it only what a test says."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from real.harness import archive, cache
from real.harness.commands import CommandFailed, run

USER = "nobody"  # the server runs as this user and lets in nobody else
_PACKAGES = ("openssh-server", "libwrap0")


@dataclass(frozen=True)
class Server:
    port: int
    folder: Path
    env: dict[str, str]  # with it, `ssh` asks the agent that has the key, and nobody else

    def make_known(self) -> None:
        key = (self.folder / "host.pub").read_text()
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {key}")


@contextmanager
def server() -> Iterator[Server]:
    """Its host key is not known to the client at first."""
    kept = cache.kept("openssh", cache.key(archive.codename()), _fetch)
    with tempfile.TemporaryDirectory(prefix="gpudock-sshd-") as temp:
        folder = Path(temp)
        folder.chmod(0o755)  # the server's user reads it
        yield from _served(folder, shutil.copytree(kept, folder / "programs", symlinks=True))


def _served(folder: Path, programs: Path) -> Iterator[Server]:
    for name in ("host", "user"):
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)])
    account = pwd.getpwnam(USER)
    os.chown(folder / "host", account.pw_uid, account.pw_gid)
    made = Server(_free_port(), folder, _client(folder))
    (folder / "sshd_config").write_text(_sshd_config(made))
    argv = [str(programs / "usr/sbin/sshd"), "-D", "-e", "-f", str(folder / "sshd_config")]
    env = {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": str(programs / "usr/lib/x86_64-linux-gnu")}
    agent_words = ["ssh-agent", "-D", "-a", made.env["SSH_AUTH_SOCK"]]
    with (
        open(folder / "sshd.log", "w") as log,
        subprocess.Popen(argv, user=account.pw_uid, group=account.pw_gid, extra_groups=[], env=env, stderr=log) as sshd,
        subprocess.Popen(agent_words, stdout=subprocess.DEVNULL) as agent,
    ):
        try:
            _wait(folder / "agent", made.port, folder / "sshd.log")
            run(["ssh-add", "-q", str(folder / "user")], env=made.env)
            yield made
        finally:
            sshd.terminate()
            agent.terminate()


def _fetch(staging: Path) -> None:
    with tempfile.TemporaryDirectory() as temp:
        run(["apt-get", "update", "-qq"], timeout=300)
        run(["sh", "-c", f'cd "$0" && apt-get download -qq {" ".join(_PACKAGES)}', temp], timeout=300)
        archive.unpack(sorted(Path(temp).glob("*.deb")), staging)


def _client(folder: Path) -> dict[str, str]:
    """An `ssh` that reads neither the tester's own configuration nor a terminal."""
    (folder / "ssh_config").write_text(f"UserKnownHostsFile {folder}/known_hosts\nBatchMode yes\n")
    program = folder / "bin/ssh"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {archive.installed("ssh")} -F {folder}/ssh_config "$@"\n')
    program.chmod(0o755)
    return os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}", "SSH_AUTH_SOCK": str(folder / "agent")}


def _sshd_config(made: Server) -> str:
    return f"""
Port {made.port}
ListenAddress 127.0.0.1
HostKey {made.folder}/host
AuthorizedKeysFile {made.folder}/user.pub
StrictModes no
UsePAM yes
PidFile none
"""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _wait(agent: Path, port: int, log: Path) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with socket.socket() as probe:
            if agent.exists() and probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise CommandFailed(f"no SSH server on port {port}: {log.read_text()}")
