"""`ssh NAME.gpudock`: OpenSSH's own server, run in the container by exec for one connection. No port is opened.

The keys are the user's own for this alone. The server's key is the same for all environments of a user, so that ssh
knows it beforehand, and never stands in an image.
"""

import os
from collections.abc import Mapping

from gpudock import proc, publish
from gpudock.engine.containers import Container
from gpudock.env import inside
from gpudock.env.naming import WORKSPACE
from gpudock.env.services.place import RUN
from gpudock.env.session import Session
from gpudock.errors import HostError

DOMAIN = "gpudock"
FOLDER = RUN + "/ssh"
_SERVER = "/usr/sbin/sshd"
_LONGEST = 4096
_OURS = ("GPUDOCK_", "HOME=", "HOSTNAME=", "TERM=")


def keys(place: str, run: proc.Runner) -> dict[str, bytes]:
    """Of client and server, made when they are first needed: client, client.pub, server, server.pub."""
    folder = f"{place}/ssh"
    publish.make_folder(folder, 0o700)
    for name in ("client", "server"):
        path = f"{folder}/{name}"
        if os.path.lexists(path) and publish.kept_by_us(path):
            continue
        made = run(proc.Command(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "gpudock", "-f", path)))
        if not made.ok:
            raise HostError(
                "The keys for ssh cannot be made.",
                why=made.err.strip()[-200:] or f"exit code {made.code}",
                mend="install OpenSSH's client: sudo apt-get install openssh-client",
            )
    names = ("client", "client.pub", "server", "server.pub")
    return {name: publish.read_capped(f"{folder}/{name}", _LONGEST) for name in names}


def files(made: Mapping[str, bytes], container: Container) -> dict[str, bytes]:
    """What the server in the container needs."""
    return {
        f"{FOLDER}/server": made["server"],
        f"{FOLDER}/clients": made["client.pub"],
        f"{FOLDER}/config": _server_config(container).encode(),
    }


def _server_config(container: Container) -> str:
    """The server runs as the container's user, who alone can log in. It starts with no variables: it is told them."""
    entries = [f"{name}={value}" for name, value in container.environment.items()]
    told = [each for each in entries if not each.startswith(_OURS) and each.isprintable() and '"' not in each]
    quoted = " ".join(f'"{each}"' for each in told)
    return (
        f"HostKey {FOLDER}/server\nAuthorizedKeysFile {FOLDER}/clients\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\nPidFile none\nPrintMotd no\n"
        f"Subsystem sftp internal-sftp\n{f'SetEnv {quoted}' if quoted else ''}\n"
    )


def command(session: Session, there: Container) -> tuple[str, ...]:
    """What ssh runs as its proxy: the connection is the server's standard input and output."""
    server = (_SERVER, "-i", "-f", f"{FOLDER}/config")
    return inside.command(session, there, server, root=False, flags=("-i", "--workdir", WORKSPACE))


def known_hosts(made: Mapping[str, bytes]) -> bytes:
    return f"*.{DOMAIN} ".encode() + b" ".join(made["server.pub"].split()[:2]) + b"\n"


def client_config(place: str, proxy: str, user: str) -> str:
    """For the user's ~/.ssh/config."""
    folder = f"{place}/ssh"
    return (
        f"Host *.{DOMAIN}\n"
        f"    User {user}\n"
        f"    ProxyCommand {proxy} %h\n"
        f"    IdentityFile {folder}/client\n"
        "    IdentitiesOnly yes\n"
        f"    UserKnownHostsFile {folder}/known_hosts\n"
        "    StrictHostKeyChecking yes\n"
    )
