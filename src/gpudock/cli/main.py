"""The program `gpudock`: finds the verb, runs it, and is the only place where errors become text and exit codes."""

import importlib
import io
import os
import sys
from collections.abc import Sequence

import click

from gpudock import __version__
from gpudock.cli.terminal import safe, say
from gpudock.errors import GpudockError

# verb -> (module of this package, name of its click command, line for --help). Modules are imported when called.
VERBS = {
    "run": ("run", "run", "Run a container with GPUs: docker's run, any image."),
    "create": ("run", "create", "Create a container with GPUs, without starting it."),
    "host": ("host", "host", "Show what gpudock sees of this machine; write snapshots."),
    "refresh": ("refresh", "refresh", "Make driver tree and CDI specification fit the machine."),
    "cdi": ("cdi", "cdi", "Generate, list, show, validate and compare CDI specifications."),
    "simulate": ("simulate", "simulate", "Make simulated GPUs, for machines that have none."),
}
UNEXPECTED = 70  # EX_SOFTWARE
INTERRUPTED = 130


class Verbs(click.Group):
    """Imports a verb's module only when that verb is called, so that each costs what it needs and no more."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in VERBS:
            return None
        module, name, _ = VERBS[cmd_name]
        command: click.Command = getattr(importlib.import_module(f"gpudock.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(verb, line) for verb, (_, _, line) in VERBS.items()])


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="gpudock %(version)s")
def gpudock() -> None:
    """NVIDIA GPUs in containers: any image, any driver, docker and podman.

    \b
    First, once and after driver upgrades:  sudo gpudock refresh
    Then:                                   gpudock run --gpus all IMAGE COMMAND
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run gpudock and exit: 0, the engine's or the error class's code, 130 interrupted, 70 a defect of ours."""
    try:
        code = gpudock.main(args=arguments, prog_name="gpudock", standalone_mode=False)
    except GpudockError as error:
        _print_error(error)
        code = error.exit_code
    except click.ClickException as error:
        _print_click(error)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("interrupted")
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:  # noqa: BLE001  the boundary: a user never sees a bare traceback
        code = _report_defect(error)
    sys.exit(code if isinstance(code, int) else 0)


def _print_error(error: GpudockError) -> None:
    why = f"\n  why:  {error.why}" if error.why else ""
    mend = f"\n  mend: {error.mend}" if error.mend else ""
    say(error.what + why + mend)


def _print_click(error: click.ClickException) -> None:
    """As click shows it, which would pass a mistyped argument to the terminal raw."""
    shown = io.StringIO()
    error.show(shown)
    print(safe(shown.getvalue()), end="", file=sys.stderr)


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
