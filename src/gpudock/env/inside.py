"""Commands in a running environment: through the image's entry, so that they are the same user as everything else."""

from gpudock.engine.containers import Container
from gpudock.env import mine
from gpudock.env.naming import ENTRY, WORKSPACE
from gpudock.env.session import Session

_SESSION = "gpudock"
_MULTIPLEXERS = {
    "tmux": ("tmux", "new-session", "-A", "-s", _SESSION),
    "screen": ("screen", "-xRR", "-S", _SESSION),
}
MULTIPLEXER = "GPUDOCK_MULTIPLEXER"
NO_ENTRY = "GPUDOCK_NO_ENTRY"


def command(
    session: Session, there: Container, words: tuple[str, ...], *, root: bool, flags: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """The engine's command. The entry begins as root and becomes the user; --root stays root."""
    told = there.environment
    if told.get(NO_ENTRY) and not root:
        user = f"{told.get('GPUDOCK_UID', '0')}:{told.get('GPUDOCK_GID', '0')}"
        return (*session.client.words, "exec", *flags, "--user", user, there.id, *words)
    entry = () if root else (ENTRY,)
    return (*session.client.words, "exec", *flags, "--user", "0", there.id, *entry, *words)


def on_terminal(words: tuple[str, ...]) -> tuple[str, ...]:
    """With a kind of terminal that the image knows: tmux, screen and editors do not start on one of the newer ones."""
    known = 'tput longname >/dev/null 2>&1 || export TERM=xterm-256color; exec "$@"'
    return ("/bin/sh", "-c", known, "sh", *words)


def workdir(there: Container, here: str) -> str:
    """Where the caller is, when that is in the project's folder."""
    folder = mine.project(there)
    below = here.removeprefix(folder) if here == folder or here.startswith(folder + "/") else ""
    mounted = any(each.target == WORKSPACE and each.source == folder for each in there.mounts)
    return WORKSPACE + below if mounted else WORKSPACE


def multiplexer(there: Container) -> tuple[str, ...]:
    return _MULTIPLEXERS.get(there.environment.get(MULTIPLEXER, ""), ())
