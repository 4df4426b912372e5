"""`ssh NAME.gpudock`, and editors that come the same way or attach to containers."""

import os
import sys

from gpudock.cli.env_here import COMMON, engine_of, running
from gpudock.cli.env_words import verb
from gpudock.cli.run import WHICH_ENGINE, become
from gpudock.cli.terminal import say
from gpudock.cli.verb import Option

_INCLUDE = "Include "


def _ssh_config(
    *, write: bool, engine: str | None, context: str | None, host: str | None, words: tuple[str, ...]
) -> None:
    """The lines for ~/.ssh/config by which `ssh NAME.gpudock` reaches an environment that has the service ssh.

    No port is opened: ssh runs gpudock, which runs OpenSSH's server in the container for this one connection. With it
    work scp, rsync, sshfs, VS Code's Remote-SSH and PyCharm. --write puts them there, once. --engine, --context and
    --host are for environments that were started with them.
    """
    del words
    from gpudock import proc, publish
    from gpudock.env import owner, preparing, state
    from gpudock.env.services import ssh
    from gpudock.errors import RefusedError

    place = state.folder(os.environ, os.geteuid())
    config = os.path.expanduser("~/.ssh/config")
    if write and os.geteuid() == 0 and os.stat(os.path.expanduser("~")).st_uid != 0:  # where sudo keeps HOME
        raise RefusedError(
            f"{config} is not root's.",
            why=f"root's keys are in {place}, and ssh gives up on a configuration that it cannot read",
            mend="without sudo, or for root's own ssh: sudo -H gpudock env ssh-config --write",
        )
    made = ssh.keys(place, proc.run)
    publish.write(f"{place}/ssh/known_hosts", ssh.known_hosts(made), 0o600)
    who = owner.here(os.environ)
    user = preparing.user_name(who.name) if who.uid else "root"
    which = (("--engine", engine), ("--context", context), ("--host", host))
    text = ssh.client_config(place, _proxy(tuple(word for pair in which if pair[1] for word in pair if word)), user)
    if not write:
        print(text, end="")
        return
    path = f"{place}/ssh/config"
    publish.write(path, text.encode(), 0o600)
    _included(config, path)


def _included(config: str, path: str) -> None:
    """An Include counts for every host only at the top of the file."""
    from gpudock import publish

    line = f"{_INCLUDE}{path}\n"
    before = b""
    if os.path.exists(config):
        before = publish.read_capped(config, 1 << 20)
        if line.encode() in before:
            say(f"{config} has it already")
            return
    publish.make_folder(os.path.dirname(config), 0o700)
    publish.write(os.path.realpath(config), line.encode() + before, 0o600)
    say(f"{config} includes {path} now: ssh NAME.gpudock")


def _proxy(which: tuple[str, ...]) -> str:
    """How ssh shall call this very gpudock."""
    import shlex

    return shlex.join((sys.executable, "-m", "gpudock", "env", "ssh-proxy", *which)).replace("%", "%%")


def _ssh_proxy(*, engine: str | None, context: str | None, host: str | None, words: tuple[str, ...]) -> int:
    """What ssh runs as its ProxyCommand: the connection is standard input and output."""
    from gpudock.env.services import ssh
    from gpudock.errors import UsageError

    if not words:
        raise UsageError("There is no environment named.", mend="gpudock env ssh-proxy NAME.gpudock")
    session = engine_of(engine, context, host)
    there = running(session, None, words[0].removesuffix(f".{ssh.DOMAIN}"))
    return become(ssh.command(session, there), dry_run=False)


def _editor(
    *, project: str | None, engine: str | None, context: str | None, host: str | None, words: tuple[str, ...]
) -> None:
    """Addresses by which VS Code on your desktop opens the running environment.

    The first attaches to the container (extension Dev Containers), the second comes by ssh (extension Remote-SSH, after
    gpudock env ssh-config --write).
    """
    from gpudock.env import editors

    session = engine_of(engine, context, host)
    there = running(session, project, *words)
    for line in editors.addresses(session, there):
        print(line)


ssh_config = verb(
    _ssh_config, (Option(("--write",), "write", "Put them into ~/.ssh/config, once.", default=False), *WHICH_ENGINE)
)
ssh_proxy = verb(_ssh_proxy, WHICH_ENGINE, ("NAME",))
editor = verb(_editor, COMMON, ("[NAME]",))
