"""What needs click: --help, usage errors, and verbs that are commands of click themselves."""

import io
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from gpudock import __version__
from gpudock.cli.options import HOST, on_host
from gpudock.cli.terminal import safe
from gpudock.cli.verb import Option, Verb, Verbs

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class Group(click.Group):
    """Imports a verb's module only when that verb is called, so that each costs what it needs and no more."""

    def __init__(self, verbs: Verbs, **settings: Any) -> None:  # noqa: ANN401  click's own
        super().__init__(help=verbs.help, **settings)
        self.verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(self.verbs.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        return command(self.verbs.get(cmd_name), cmd_name) if cmd_name in self.verbs.table else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(verb, line) for verb, (_, _, line) in self.verbs.table.items()])


class _Scanned(click.Command):
    """A verb that reads its words itself: it comes here for --help alone, which it has among its own options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        del args
        click.echo(ctx.get_help())
        ctx.exit()

    def get_help_option(self, ctx: click.Context) -> None:
        del ctx

    usage: Sequence[str] = ()

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        del ctx
        return ["[OPTIONS]", *self.usage]


def command(found: Verb | Verbs | click.Command, name: str) -> click.Command:
    """The command of click that a verb is."""
    if isinstance(found, Verbs):
        return Group(found, name=name)
    if not isinstance(found, Verb):
        return found
    kind = _Scanned if found.scan else click.Command
    params = [click.Option(names, **settings) for names, settings in map(_described, found.options)]
    made = kind(name, callback=found.function, params=[*params], help=found.function.__doc__)
    if isinstance(made, _Scanned):
        made.usage = found.usage
    return made


def host_options(function: Decorated) -> Decorated:
    """Gives a command of click the parameter `host: HostOptions`."""
    decorated = on_host(function)
    for names, settings in map(_described, reversed(HOST)):
        decorated = click.option(*names, **settings)(decorated)
    return decorated


def _described(option: Option) -> tuple[list[str], dict[str, Any]]:
    """As click wants it."""
    names = [f"{option.names[0]}/{option.off}"] if option.off else [*option.names]
    settings = {
        "help": option.help,
        "metavar": option.metavar,
        "default": option.default,
        "is_flag": option.is_flag,
        "multiple": option.is_many,
        "type": click.Choice(option.choices) if option.choices else None,
    }
    return [*names, option.key], settings


def program(verbs: Verbs) -> click.Group:
    """The whole of gpudock, as click sees it."""
    made = Group(verbs, name="gpudock", context_settings={"help_option_names": ["-h", "--help"]})
    click.version_option(__version__, message="gpudock %(version)s")(made)
    return made


def run(verbs: Verbs, words: Sequence[str]) -> object:
    """The exit code, or what the verb returned. What click has to say is said; other errors are raised."""
    try:
        return program(verbs).main(args=list(words), prog_name="gpudock", standalone_mode=False)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        print(safe(shown.getvalue()), end="", file=sys.stderr)  # a mistyped argument would pass raw
        return error.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
