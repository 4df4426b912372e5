"""What every --help prints: people read it on 80 columns."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from gpudock.cli.by_click import program
from gpudock.cli.main import HELP, VERBS
from gpudock.cli.verb import Verbs

gpudock = program(Verbs(HELP, VERBS))


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(below, (*path, name))


ALL = list(commands(gpudock))


def test_every_verb_is_looked_at() -> None:
    paths = {path for path, _ in ALL}
    assert {("run",), ("create",), ("host", "snapshot"), ("refresh",), ("cdi", "diff"), ("simulate", "make")} <= paths


@pytest.mark.parametrize("path", [path for path, _ in ALL], ids=" ".join)
def test_help_fits_and_is_whole(path: tuple[str, ...]) -> None:
    found = CliRunner().invoke(gpudock, [*path, "--help"], prog_name="gpudock")
    assert found.exit_code == 0
    lines = found.output.splitlines()
    assert lines[0].startswith(f"Usage: gpudock {' '.join(path)}".rstrip())
    assert [line for line in lines if len(line) > 80] == []
    assert [line for line in lines[1:] if line.endswith("...")] == []  # click cuts so


@pytest.mark.parametrize(
    ("verb", "usage"), [("run", "IMAGE [COMMAND] [ARG...]"), ("compose", "COMMAND [ARG...]"), ("build", "CONTEXT")]
)
def test_verbs_that_read_their_words_say_which(verb: str, usage: str) -> None:
    found = CliRunner().invoke(gpudock, [verb, "--help"], prog_name="gpudock")
    assert found.output.splitlines()[0] == f"Usage: gpudock {verb} [OPTIONS] {usage}"


@pytest.mark.parametrize(
    ("path", "command"), ALL, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_every_option_says_what_it_is(path: tuple[str, ...], command: click.Command) -> None:
    options = [each for each in command.get_params(click.Context(command)) if isinstance(each, click.Option)]
    assert options, path
    assert [each.name for each in options if not (each.help or "").strip()] == []
