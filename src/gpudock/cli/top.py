"""`gpudock top`: GPUs and who has them, live in the terminal."""

import os
import sys

from gpudock.cli.extras import need
from gpudock.cli.options import HOST
from gpudock.cli.status import interval_of
from gpudock.cli.terminal import say_simulated
from gpudock.cli.verb import Option, Verb


def top(*, interval: str, commands: bool, driver_root: str | None, dev_root: str | None, simulated: str | None) -> None:
    """Watch GPUs and who has them: processes under their container or person.

    Sort, filter, follow one container, see its logs, stop one's own: the key ? tells how. It needs a terminal of 80
    columns and 24 lines, also over ssh and in tmux. What cannot be read is "?", and old figures are said to be old.
    """
    from gpudock.errors import UsageError

    need("live view", "tui", "textual", otherwise="; `gpudock status --watch` needs neither")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("gpudock top needs a terminal.", mend="use gpudock status, or gpudock status --json")
    from gpudock.host import roots
    from gpudock.monitor.assemble import collector
    from gpudock.monitor.top import act
    from gpudock.monitor.top.app import Top

    where = roots.roots_for(driver_root, dev_root, simulated)
    if where.simulated:
        say_simulated()
    source = collector(where, os.environ, interval=interval_of(interval), commands=commands)
    source.start()
    try:
        Top(source, act.person(os.environ, os.getuid(), _name)).run()
    finally:
        source.stop()


def _name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"


TOP = Verb(
    top,
    (
        Option(("--interval",), "interval", "Seconds between two looks at the GPUs. [default: 1]", "1", "SECONDS"),
        Option(("--commands",), "commands", "Filter by command lines too, which may hold secrets.", default=False),
        *HOST[:3],
    ),
)
