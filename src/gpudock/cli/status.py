"""`gpudock status`: who uses which GPU, once or again and again."""

import os
import sys
import time

from gpudock.cli.options import HOST
from gpudock.cli.terminal import columns, say_simulated, show
from gpudock.cli.verb import Option, Verb

WAIT = 3.0  # seconds for the names of containers
LACKING = 4  # the exit code without a GPU, as of every HostError


def status(
    *,
    as_json: bool,
    watch: bool,
    interval: str,
    commands: bool,
    driver_root: str | None,
    dev_root: str | None,
    simulated: str | None,
) -> int:
    """Show who uses which GPU: person, container, program.

    What cannot be read is "?". An owner is whoever gpudock, a label, the container's project or the process says; see
    docs/monitoring.md. Without the right to ask the container engine, a container is shown by its id. On a terminal
    long names lose their middle, so that no line of a table is broken; in a pipe and with --json they are whole.

    Exit code 4 when there is no GPU that can be read.
    """
    from gpudock.host import roots
    from gpudock.host.later import Later
    from gpudock.monitor import watch as watching

    beat = interval_of(interval)
    where = roots.roots_for(driver_root, dev_root, simulated)
    watcher = watching.Watcher(lambda: watching.driver(where))
    asked = Later(lambda: watcher.look(slow=True))  # while the driver answers, the rest is imported
    from gpudock.facts.base import Missing
    from gpudock.monitor.assemble import collector
    from gpudock.monitor.sample import Sample, encode
    from gpudock.monitor.table import render

    if where.simulated:
        say_simulated()
    made = collector(where, os.environ, interval=beat, commands=commands, wait=WAIT, watcher=watcher)
    try:
        sample: Sample = made.look(answer=asked.result())
        while watch:
            if as_json:
                print(encode(sample).decode(), flush=True)
            else:
                _draw(render(sample, columns()))
            time.sleep(beat)
            sample = made.look()
    finally:
        made.stop()
    if as_json:
        print(encode(sample).decode())
    else:
        show(render(sample, columns()))
    return LACKING if isinstance(sample.gpus, Missing) or not sample.gpus else 0


def _draw(text: str) -> None:
    """On a terminal in the place of the last one."""
    from shutil import get_terminal_size

    from gpudock.monitor.table import beginning

    if sys.stdout.isatty():
        sys.stdout.write("\x1b[H\x1b[J")
        show(beginning(text, *get_terminal_size()))
    else:
        show(text + "\n")
    sys.stdout.flush()


def interval_of(text: str) -> float:
    from gpudock.errors import UsageError

    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.5 <= value <= 600:
        raise UsageError(f"--interval {text!r} is no number of seconds from 0.5 to 600.")
    return value


STATUS = Verb(
    status,
    (
        Option(("--json",), "as_json", "Print the whole sample as JSON.", default=False),
        Option(("--watch", "-w"), "watch", "Show it again and again, until Ctrl-C.", default=False),
        Option(("--interval",), "interval", "Seconds between two looks of --watch. [default: 2]", "2", "SECONDS"),
        Option(("--commands",), "commands", "Show command lines, which may hold secrets.", default=False),
        *HOST[:3],
    ),
)
