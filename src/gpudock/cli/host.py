"""`gpudock host`: what gpudock sees of this machine."""

import sys

import click

from gpudock.cli.by_click import host_options
from gpudock.cli.options import HostOptions


@click.group(invoke_without_command=True)
@host_options
@click.option("--json", "as_json", is_flag=True, help="Print the whole snapshot as JSON.")
@click.pass_context
def host(context: click.Context, /, host: HostOptions, *, as_json: bool) -> None:
    """Show what gpudock sees of this machine: driver, GPUs, engines, and first of all what is wrong.

    What cannot be read is shown with the reason and never guessed. A snapshot file makes a good bug report: every
    command that reads the host works on it elsewhere, with --snapshot.
    """
    context.obj = host
    if context.invoked_subcommand is not None:
        return
    from gpudock.host import codec

    taken = host.load(engines=True, packages=True, announce=as_json)  # the text begins with it
    if as_json:
        sys.stdout.write(codec.encode(taken).decode())
        return
    from gpudock.cli import host_text
    from gpudock.cli.terminal import show

    show(host_text.render(taken))


@host.command()
@host_options
@click.option("-o", "--output", metavar="FILE", default="-", help="Write to this file. [default: standard output]")
@click.pass_obj
def snapshot(outer: HostOptions, /, host: HostOptions, *, output: str) -> None:
    """Write all facts as JSON, without credentials."""
    from gpudock.cli.output import write
    from gpudock.cli.terminal import say
    from gpudock.host import codec

    write(output, codec.encode(host.over(outer).load(engines=True, packages=True)))
    if output != "-":
        say(f"wrote {output}")
