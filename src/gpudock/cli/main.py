"""The program `gpudock`: finds the verb, runs it, and is the only place where errors become text and exit codes."""

import errno
import io
import os
import sys
from collections.abc import Callable, Sequence

from gpudock import __version__
from gpudock.cli.terminal import say
from gpudock.cli.verb import Verb, Verbs
from gpudock.errors import GpudockError, HostError

# verb -> (module of this package, name in it, line for --help). Modules are imported when called.
VERBS = {
    "run": ("run", "run", "Run a container with GPUs: docker's run, any image."),
    "create": ("run", "create", "Create a container with GPUs, without starting it."),
    "build": ("build", "build", "Build an image with GPUs in RUN steps; no driver stays in it."),
    "compose": ("compose", "compose", "Run docker compose or podman-compose; services get their GPUs."),
    "status": ("status", "STATUS", "Show who uses which GPU: person, container, program."),
    "top": ("top", "TOP", "Watch it live: sort, filter, follow, logs, stop."),
    "serve": ("serve", "SERVE", "Serve that to Prometheus, programs and browsers, and remember it."),
    "usage": ("usage", "USAGE", "Show who has had GPUs: hours held and used, energy."),
    "env": ("env", "env", "Environments: gpudock.yaml, locked, built and run."),
    "init": ("env_init", "init", "Write a first gpudock.yaml for a folder."),
    "lock": ("env_lock", "lock", "Settle base, packages and CUDA of an environment."),
    "up": ("env_up", "up", "Start this folder's environment, and show its addresses."),
    "down": ("env_life", "down", "Stop it and remove its container; files and image stay."),
    "shell": ("env_use", "shell", "A shell in it, as you."),
    "url": ("env_use", "url", "Addresses of its services, with the token."),
    "open": ("env_use", "open_", "Open its notebook in the browser."),
    "token": ("env_life", "token", "Its token; --password sets a password."),
    "doctor": ("doctor", "doctor", "Say what is wrong with this machine, an image or a container."),
    "verify": ("verify", "verify", "Prove on each engine that containers get working GPUs."),
    "host": ("host", "host", "Show what gpudock sees of this machine; write snapshots."),
    "refresh": ("refresh", "refresh", "Make driver tree and CDI specification fit the machine."),
    "install": ("install", "install", "Make a machine ready: Docker, driver, runtime, proof."),
    "drivers": ("drivers", "drivers", "List drivers that could be installed, and which suit."),
    "uninstall": ("install", "uninstall", "Take back what install did."),
    "configure": ("configure", "configure", "Make docker, podman, containerd or CRI-O know the runtime."),
    "cdi": ("cdi", "cdi", "Generate, list, show, validate and compare CDI specifications."),
    "volume": ("volume", "volume", "Make driver volumes as nvidia-docker 1 had them, without Docker."),
    "simulate": ("simulate", "simulate", "Make simulated GPUs, for machines that have none."),
}
HELP = """NVIDIA GPUs in containers: any image, any driver, docker and podman.

\b
First, once and after driver upgrades:  sudo gpudock refresh
Then:                                   gpudock run --gpus all IMAGE COMMAND
"""
UNEXPECTED = 70  # EX_SOFTWARE
INTERRUPTED = 130


def called(words: Sequence[str]) -> object:
    """Do what the words say. Returns the exit code, or anything else for 0; raises what the verb raises."""
    if [*words] == ["--version"]:
        print(f"gpudock {__version__}")
        return 0
    verbs = Verbs(HELP, VERBS)
    verb, rest = verbs.find(words)
    given = verb.read(rest) if isinstance(verb, Verb) else None
    if isinstance(verb, Verb) and given is not None:
        return verb.function(**given)
    from gpudock.cli import by_click

    return by_click.run(verbs, words)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run gpudock and exit: 0, the engine's or the error class's code, 130 interrupted, 70 a defect of ours."""
    sys.exit(bounded(lambda: called(sys.argv[1:] if arguments is None else arguments)))


def bounded(work: Callable[[], object], failed: Callable[[GpudockError], int] | None = None) -> int:
    """The exit code of `work`, whatever it raises. `failed` says an expected error in its own way, and its code."""
    try:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # a name in Chinese must not end what writes EUC-JP
        code = work()
        print(end="", flush=True)
    except GpudockError as error:
        code = (failed or print_error)(error)
    except KeyboardInterrupt:
        say("interrupted")
        code = INTERRUPTED
    except BrokenPipeError:
        _write_no_more()
        code = 1
    except OSError as error:
        if error.errno != errno.ENOSPC:
            return _report_defect(error)
        try:
            print(end="", flush=True)
        except OSError:
            _write_no_more()
        say(f"{error}\n  why:  what was to be written has no room\n  mend: make room, or write it somewhere else")
        code = HostError.exit_code
    except Exception as error:  # noqa: BLE001  the boundary: a user never sees a bare traceback
        code = _report_defect(error)
    return code if isinstance(code, int) else 0


def _write_no_more() -> None:
    """What is still in the buffer would fail again when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_error(error: GpudockError) -> int:
    """What happened, why, and how to mend it. Returns the exit code."""
    why = f"\n  why:  {error.why}" if error.why else ""
    mend = f"\n  mend: {error.mend}" if error.mend else ""
    say(error.what + why + mend)
    return error.exit_code


def _report_defect(error: Exception) -> int:
    import traceback

    say(
        f"unexpected {type(error).__name__}: {error}\n"
        "  why:  this is a defect of gpudock, not of your set-up\n"
        "  mend: please report it with the lines below and the file that `gpudock host snapshot -o FILE` writes\n\n"
        + "".join(traceback.format_exception(error)).rstrip()
    )
    return UNEXPECTED


if __name__ == "__main__":
    main()
