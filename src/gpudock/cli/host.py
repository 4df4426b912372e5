"""`gpudock host`: what gpudock sees of this machine."""

import sys

import click

from gpudock.cli.by_click import host_options
from gpudock.cli.doctor import doctor
from gpudock.cli.drivers import drivers
from gpudock.cli.install import install, uninstall
from gpudock.cli.options import HostOptions
from gpudock.cli.verify import verify


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


for _each, _short in (
    (doctor, "Say what is wrong: gpudock doctor."),
    (verify, "Prove that GPUs work: gpudock verify."),
    (install, "Make it ready: gpudock install."),
    (uninstall, "Take that back: gpudock uninstall."),
    (drivers, "Drivers that suit it: gpudock drivers."),
):
    host.add_command(_each)
    _each.short_help = _short


@host.command()
@host_options
@click.option("-o", "--output", metavar="FILE", default="-", help="Write to this file. [default: standard output]")
@click.pass_obj
def snapshot(outer: HostOptions, /, host: HostOptions, *, output: str) -> None:
    """Write all facts as JSON, without credentials.

    It holds names of users and containers, and addresses; gpudock doctor --bundle leaves those out too.
    """
    from gpudock import proc
    from gpudock.cli.output import write
    from gpudock.cli.terminal import say
    from gpudock.host import codec
    from gpudock.provision.probe.containers import complete

    chosen = host.over(outer)
    taken = chosen.load(engines=True, packages=True, setup=True)
    write(output, codec.encode(taken if chosen.snapshot else complete(taken, proc.run)))
    if output != "-":
        say(f"wrote {output}")
