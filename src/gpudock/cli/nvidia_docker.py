"""The program `nvidia-docker`: docker's own command line, with GPUs, as nvidia-docker 2 or 1 did it."""

import os
import sys
from typing import TYPE_CHECKING

from gpudock.cli.main import bounded, print_error
from gpudock.cli.terminal import safe, say
from gpudock.compat import cli_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gpudock.compat.cli_start import Start
    from gpudock.engine.detect import Machine
    from gpudock.errors import GpudockError
    from gpudock.plan.document import Plan
    from gpudock.proc import Runner

_DEBUG = "NV_DEBUG"


def main() -> None:
    """Become docker, or exit: mode 1 has one code for all errors, mode 2 gpudock's own."""
    sys.exit(bounded(_mode))


def _mode() -> int:
    words = tuple(sys.argv[1:])
    if cli_environment.mode(os.environ) == 1:
        return bounded(lambda: _first(words), _failed)
    return bounded(lambda: _second(words), print_error)


def _runner(environment: "Mapping[str, str]") -> "Runner":
    """Runs what docker is asked. `sudo docker` and the like may have to ask for a password: at the terminal, and one
    after the other, so that sudo remembers the first answer.
    """
    import threading

    from gpudock import proc

    first = cli_environment.docker(environment)[0]
    if os.path.basename(first) == "docker":
        return proc.run
    one_at_a_time = threading.Lock()

    def run(command: "proc.Command") -> "proc.Result":
        if command.argv[0] != first:
            return proc.run(command)
        with one_at_a_time:
            return proc.run(command._replace(terminal=True))

    return run


def _become(start: "Start") -> int:
    from gpudock.cli import run

    if start.failed:
        return start.failed
    for note in start.notes:
        say(note)
    print(start.banner, end="", flush=True)
    if os.environ.get(_DEBUG) and not start.dry_run:
        from shlex import join

        print(safe("+ " + join(start.argv)), file=sys.stderr, flush=True)  # as the shell script that it was
    return run.become(start.argv, dry_run=start.dry_run)


def _second(words: tuple[str, ...]) -> int:
    from gpudock.cli import run
    from gpudock.compat import v2

    runner = _runner(os.environ)
    tools = v2.Tools(runner, _machine, lambda wish: run.tools(wish, os.environ)._replace(run=runner), run.file_text)
    return _become(v2.start(words, os.environ, tools))


def _machine() -> "Machine":
    from gpudock.engine import detect

    return detect.this_machine(os.environ)


def _first(words: tuple[str, ...]) -> int:
    from gpudock import proc
    from gpudock.compat import nv_host_http, v1

    tools = v1.Tools(
        run=_runner(os.environ),
        show=proc.show,
        warn=_log,
        plan=_plan,
        plugin=lambda host: nv_host_http.plugin(host, proc.run, proc.show),
    )
    return _become(v1.start(words, os.environ, tools))


def _plan() -> "Plan":
    """This machine's start plan, made anew when root asks and it no longer fits."""
    from gpudock.cli.run import here, refresher
    from gpudock.engine import local
    from gpudock.errors import HostError

    found = local.own_plan(here(os.environ), refresher(os.environ))
    if found is None:
        raise HostError(
            "This machine's GPUs are described by somebody else's CDI specification.",
            why="nvidia-docker 1's devices and volume are made of gpudock's own",
            mend="sudo gpudock refresh --adopt, or use nvidia-docker 2: GPUDOCK_NVIDIA_DOCKER=2",
        )
    return found[0]


def _log(text: str) -> None:
    """As nvidia-docker 1: the program's name as it was called, and Go's time stamp."""
    import time

    print(safe(f"{sys.argv[0]} | {time.strftime('%Y/%m/%d %H:%M:%S')} {text}"), file=sys.stderr, flush=True)


def _failed(error: "GpudockError") -> int:
    why = f"\n  why:  {error.why}" if error.why else ""
    mend = f"\n  mend: {error.mend}" if error.mend else ""
    _log(f"Error: {error.what}{why}{mend}")
    if os.environ.get(_DEBUG):
        import traceback

        print(safe("".join(traceback.format_exception(error))), file=sys.stderr)
    return 1


if __name__ == "__main__":
    main()
