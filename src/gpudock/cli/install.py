"""`gpudock install`: a plan for this machine, or for others, shown before anything is done."""

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from gpudock.cli.by_click import host_options
from gpudock.cli.options import HostOptions

if TYPE_CHECKING:
    from gpudock.provision.install.perform import Installation
    from gpudock.provision.install.plan import Plan
    from gpudock.provision.install.target import Target
    from gpudock.provision.install.wish import Wish

REBOOT = 75


@click.command()
@click.option("--os", "system", metavar="SYSTEM", help="For ubuntu-24.04, ubuntu-22.04, debian-12, debian-13 or wsl2.")
@click.option(
    "--docker",
    type=click.Choice(["auto", "distribution", "docker.com", "debs", "none"]),
    default="auto",
    help="Where Docker comes from. [default: auto: as it is here, else the distribution's]",
)
@click.option("--docker-version", metavar="V", default="", help="This one, and upgrades leave it alone.")
@click.option("--debs", metavar="DIR", default="", help="Folder with Docker's .deb files, for --docker debs.")
@click.option(
    "--driver",
    type=click.Choice(["auto", "distribution", "nvidia", "none"]),
    default="auto",
    help="Where NVIDIA's driver comes from. [default: auto]",
)
@click.option("--driver-version", metavar="V", default="", help="This one, and upgrades leave it alone.")
@click.option(
    "--module",
    type=click.Choice(["auto", "open", "proprietary"]),
    default="auto",
    help="Its kernel module. [default: what suits the GPUs]",
)
@click.option("--user", metavar="NAME", default="", help="May use docker without sudo, and so is root.")
@click.option("--proxy", metavar="URL", default="", help="For apt, sudo and dockerd.")
@click.option("--no-proxy", metavar="HOSTS", default="", help="Reached without it.")
@click.option("--remove-old", is_flag=True, help="Old docker and nvidia-docker packages that are in the way may go.")
@click.option("--commit-old", is_flag=True, help="Keep containers on nvidia-docker 1's volumes as images.")
@click.option("--remove-containers", is_flag=True, help="Those containers may go.")
@click.option("--then", metavar="COMMAND", default="", help="The last step.")
@click.option("--gpudock", metavar="WHAT", help="What pip installs there: a wheel's path or address.")
@click.option("--emit", type=click.Choice(["sh", "cloud-init", "powershell"]), help="Write it for other machines.")
@click.option("-o", "--output", metavar="FILE", default="-", help="Write that to this file. [default: standard output]")
@click.option("--dry-run", is_flag=True, help="Show the steps; change nothing.")
@click.option("--resume", is_flag=True, help="Go on with what was begun, after a reboot or an interruption.")
@click.option("--list-versions", is_flag=True, help="List versions of Docker and the driver that apt knows.")
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
@host_options
def install(host: HostOptions, **options: Any) -> int | None:  # noqa: ANN401  by name, below
    """Make this machine ready: Docker, NVIDIA's driver, gpudock's runtime and its units, and a container as the proof.

    Shows the steps before anything is done, and asks. Each step looks whether it is done, so that the same command
    does what is left: after a reboot, a lost connection, a power cut. `gpudock uninstall` takes it all back.

    With --emit the same steps are written as a script or as cloud-init's user data, for other machines.

    \b
    sudo gpudock install --dry-run
    sudo gpudock install --user "$USER"
    gpudock install --os ubuntu-24.04 --emit sh --gpudock /root/gpudock.whl
    """
    if options["list_versions"]:
        _versions()
        return None
    if options["resume"]:
        return _made(_here())
    plan = _plan(host, options)
    if options["emit"]:
        _names_gpudock(plan, options["gpudock"])
        _emit(plan, options["emit"], options["output"])
        return None
    _show(plan)
    if options["dry_run"]:
        _show_state(plan)
        return None
    _check_here(plan, options["system"])
    if not (options["yes"] or _agreed("Do this?")):
        return 1
    from gpudock.provision.emit import script

    here = _here()
    here.keep(script.render(plan))
    return _made(here)


def _plan(host: HostOptions, options: dict[str, Any]) -> "Plan":
    from gpudock.provision.install import plan
    from gpudock.provision.install.wish import Wish

    wish = Wish(**{name: options[name] for name in Wish._fields if options[name] is not None})
    target = _target(host, options["system"])
    if options["emit"] and target.here:  # for machines like this one: what is installed there nobody knows
        target = target._replace(here=False, packages=None)
    return plan.make(target, wish)


def _target(host: HostOptions, system: str | None) -> "Target":
    from gpudock.provision.install import target

    if system:
        return target.named(system)
    return target.of(host.load(packages=True), here=host == HostOptions())


def _names_gpudock(plan: "Plan", given: str | None) -> None:
    """Root of another machine shall not install whatever somebody has put into an index under our name."""
    from gpudock.errors import UsageError

    if given is None and any(step.id == "gpudock" for step in plan.steps):
        raise UsageError(
            "--emit needs --gpudock: what the other machine is to install as gpudock.",
            why="a bare name would let pip take it from whichever index that machine uses, as root",
            mend="--gpudock /root/gpudock-VERSION-py3-none-any.whl for a wheel that you copy there, or its address",
        )


def _emit(plan: "Plan", kind: str, output: str) -> None:
    from gpudock.cli.output import write
    from gpudock.cli.terminal import say
    from gpudock.provision.emit import cloud_init, powershell, script

    render = {"sh": script.render, "cloud-init": cloud_init.render, "powershell": powershell.render}[kind]
    text = render(plan)
    write(output, text.encode())
    if plan.unverified:
        say(f"unverified: {plan.unverified}. gpudock's tests have never executed that; read it before you use it")
    for note in cloud_init.notes(text) if kind == "cloud-init" else ():
        say(note)


def _show(plan: "Plan") -> None:
    from gpudock.cli.terminal import show

    for number, text in enumerate(plan.describe(), 1):
        mark = f"{number:2d}. " if number <= len(plan.steps) else ""
        show(mark + text.replace("\n", "\n    "))


def _show_state(plan: "Plan") -> None:
    """What of it is done here already, asked by the steps' own checks, which change nothing."""
    if os.geteuid() != 0 or not plan.target.here:
        return
    from gpudock.cli.terminal import show
    from gpudock.provision.emit import script
    from gpudock.provision.install import perform

    show("\n" + perform.looked(_here(), script.render(plan)).rstrip())


def _check_here(plan: "Plan", system: str | None) -> None:
    from gpudock.errors import RefusedError, UsageError

    if system or not plan.target.here:
        raise UsageError("A plan for another machine is not done here.", mend="add --emit sh, or --dry-run")
    if os.geteuid() != 0:
        raise RefusedError("Only root can install.", mend='sudo "$(command -v gpudock)" install ...')
    _check_named(plan.wish)


def _check_named(wish: "Wish") -> None:
    """Who and what must be here: told before half an hour of installing, and not after it."""
    import pwd
    from glob import escape, glob

    from gpudock.errors import UsageError
    from gpudock.plan.quote import quote

    if wish.debs and not glob(f"{escape(wish.debs)}/*.deb"):
        raise UsageError(f"There are no .deb files in {quote(wish.debs)}.", mend="name the folder that has Docker's")
    try:
        pwd.getpwnam(wish.user or "root")
    except KeyError:
        mend = "name another, or: sudo adduser NAME"
        raise UsageError(f"There is no user {quote(wish.user)} here.", mend=mend) from None


def _agreed(question: str) -> bool:
    from gpudock.errors import UsageError

    if not sys.stdin.isatty():
        raise UsageError("Nobody can be asked here.", mend="add --yes")
    return click.confirm(f"\n{question}", default=False, err=True)


def _here() -> "Installation":
    from gpudock.provision.install import perform

    return perform.Installation(perform.STATE, perform.own_program(perform.STATE))


def _made(here: "Installation") -> int:
    from gpudock.cli.terminal import say
    from gpudock.provision.install import perform

    try:
        here.make()
    except perform.Reboot:
        say("after the reboot: sudo gpudock install --resume")
        return REBOOT
    say("all done. To take it back: sudo gpudock uninstall")
    return 0


def _versions() -> None:
    """What --docker-version and --driver-version can name."""
    from gpudock import proc
    from gpudock.cli.terminal import say, show
    from gpudock.provision.install import versions

    found = (*versions.of_docker(proc.run), *versions.of_drivers(proc.run))
    width = max((len(each.package) for each in found), default=0)
    for each in found:
        show(f"{each.package:{width}}  {each.version:45}  {each.source}")
    if not any(each.package == "docker-ce" for each in found):
        say("docker.com's versions are listed once its repository is there: --docker docker.com adds it")
    if not any(each.branch for each in found):
        say("apt lists no driver of NVIDIA's: gpudock drivers says which there are, and which suit the GPUs")


@click.command()
@click.option("--purge-data", is_flag=True, help="Docker's images and volumes go too, where its packages do that.")
@click.option("--dry-run", is_flag=True, help="Show what would be taken back; change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
def uninstall(*, purge_data: bool, dry_run: bool, yes: bool) -> int | None:
    """Take back what `gpudock install` did, the last step first.

    Removes the packages that were not there before, puts files back as they were, and leaves what others have
    changed or installed since. Docker's images and volumes stay unless --purge-data is given.
    """
    from gpudock.cli.terminal import say, show
    from gpudock.errors import RefusedError

    here = _here()
    begun = here.begun()
    steps = [step for step in reversed(here.steps()) if step.id in begun]
    for step in steps:
        show(f"undo  {step.title}")
    if dry_run:
        return None
    if os.geteuid() != 0:
        raise RefusedError("Only root can uninstall.", mend='sudo "$(command -v gpudock)" uninstall')
    if not (yes or _agreed("Take this back?")):
        return 1
    here.undo(purge=purge_data)
    here.forget()
    say("all taken back")
    return 0
