"""`gpudock configure`: engines learn of the runtime, and forget it again."""

import os
from typing import TYPE_CHECKING, Any

import click

from gpudock.cli import docker_settings

if TYPE_CHECKING:
    from gpudock.engine.configure.change import FileChange
    from gpudock.engine.configure.plan import Asked, Here
    from gpudock.engine.configure.work import Work
    from gpudock.host.root import Root
    from gpudock.refresh.paths import Paths

_ONLY = {  # option -> engines that have it
    "cdi": ("docker", "containerd"),
    "hook_name": ("docker",),
    **dict.fromkeys(docker_settings.NAMES, ("docker",)),
    "config_file": ("docker", "containerd"),
}
_WITH_UNDO = ("undo", "dry_run", "restart", "config_file")
ALL_BY_DEFAULT = (
    "images made for CUDA ask for all GPUs by themselves (ENV NVIDIA_VISIBLE_DEVICES=all), and with --default every\n"
    "  container has the runtime that listens. With --strict only privileged containers may ask by a variable."
)


@click.command()
@click.argument("engine", type=click.Choice(["docker", "podman", "containerd", "crio"]))
@click.option("--as", "name", metavar="NAME", help="Name of the runtime, such as nvidia. [default: gpudock]")
@click.option("--default/--no-default", default=None, help="Make it the runtime of containers that name none.")
@click.option("--cdi/--no-cdi", default=None, help="Let the engine read CDI specifications. [default: if it can]")
@click.option("--hook-name/--no-hook-name", default=None, help="Give docker what it needs for --gpus. [default: yes]")
@click.option("--strict/--no-strict", default=None, help="Only privileged containers may ask for GPUs by a variable.")
@click.option("--volume-mounts/--no-volume-mounts", default=None, help="Containers may ask for GPUs by mounts.")
@click.option(
    "--swarm-resource", multiple=True, metavar="VARIABLE", help="Swarm names GPUs in it: DOCKER_RESOURCE_GPU."
)
@docker_settings.options
@click.option("--config-file", metavar="FILE", help="The engine's configuration file. [default: the one it reads]")
@click.option("--restart", is_flag=True, help="Reload or restart the engine, and see that it took the settings.")
@click.option("--undo", is_flag=True, help="Take it all back, but what --strict and the like have set.")
@click.option("--dry-run", is_flag=True, help="Show what would be done; change nothing.")
def configure(engine: str, **options: Any) -> None:  # noqa: ANN401  by name, below
    """Make gpudock's runtime known to ENGINE: docker, podman, containerd or crio.

    Containers then get GPUs by `docker run --runtime gpudock --gpus all`, or by -e NVIDIA_VISIBLE_DEVICES=all instead
    of --gpus; with --default, without --runtime. Shows each file's difference, keeps every other setting, its order and
    its comments, and leaves the old file beside the new one. A file that the engine could not read is never written.

    A running docker takes a new runtime by a reload, which stops no container; --restart does that, restarts docker
    only when it must, believes what docker then says, and puts the old file back when it does not come up.

    With docker also settings that people otherwise edit daemon.json for, from --registry-mirror to --node-resource;
    --undo takes back those that gpudock has set and nobody has changed since.

    \b
    sudo gpudock configure docker --restart
    sudo gpudock configure docker --as nvidia --default --strict --restart
    sudo gpudock configure docker --undo
    """
    from gpudock import publish
    from gpudock.cli.terminal import say, show
    from gpudock.refresh import paths

    _check(engine, options)
    where = paths.default_paths()
    paths.check(where)
    here = _here()
    asked = _asked(engine, options, where)
    work, settings = _planned(asked, options, here)
    for note in (*work.notes, *_warnings(options)):
        say(note)
    if options["dry_run"]:
        show("\n".join(_preview(work, settings, where, undo=asked.undo)))
        return
    with publish.lock(f"{where.run}/configure.lock"):
        work, settings = _planned(asked, options, here)  # again: another gpudock may have been at work until now
        show("\n".join(work.apply() if asked.undo else _made(work, settings, where)))
        for line in [] if asked.undo else _program(where):
            show(line)


def _planned(asked: "Asked", options: dict[str, Any], here: "Here") -> "tuple[Work, FileChange | None]":
    from gpudock.engine.configure.plan import plan

    settings = _settings(options, here.machine)
    return plan(asked, here), settings


def _check(engine: str, options: dict[str, Any]) -> None:
    from gpudock.errors import UsageError

    given = [name for name, value in options.items() if value not in (None, ()) and (value or name not in _WITH_UNDO)]
    for name in given:
        if engine not in _ONLY.get(name, (engine,)):
            only = " and ".join(_ONLY[name])
            raise UsageError(f"{_flag(name, options)} is for {only}, not for {engine}.", mend="leave it out")
        if options["undo"] and name not in _WITH_UNDO:
            raise UsageError(f"--undo cannot be combined with {_flag(name, options)}.")


def _flag(name: str, options: dict[str, Any]) -> str:
    return "--" + ("no-" if options[name] is False else "") + {"name": "as"}.get(name, name).replace("_", "-")


def _here() -> Any:  # noqa: ANN401  imported lazily
    from gpudock import proc
    from gpudock.engine.configure.plan import Here
    from gpudock.host.root import Root
    from gpudock.host.surroundings import of_caller

    around = of_caller(Root("/"), Root("/proc"))
    return Here(around.environment, os.geteuid(), around.config_home(), around.machine, around.proc, proc.run)


def _asked(engine: str, options: dict[str, Any], where: "Paths") -> "Asked":
    from gpudock.engine.configure import wish
    from gpudock.engine.configure.plan import Asked
    from gpudock.refresh import settings

    wanted = wish.Wish(
        f"{where.libexec}/current/{wish.ENTRY}",
        wish.check_name(options["name"] or wish.NAME),
        options["default"],
        options["cdi"],
        hook=options["hook_name"] is not False,
        settings=docker_settings.wanted(options),
        listens=bool(options["swarm_resource"]) or bool(settings.read().swarm_resource),
    )
    config = os.path.abspath(options["config_file"]) if options["config_file"] else None
    return Asked(engine, wanted, config, options["restart"], options["undo"])


def _settings(options: dict[str, Any], machine: "Root") -> "FileChange | None":
    from gpudock.engine.configure import own_settings
    from gpudock.refresh import settings
    from gpudock.refresh.paths import CONFIG

    wanted: dict[str, object] = {}
    if options["strict"] is not None:
        wanted[settings.ENVVAR] = not options["strict"]
    if options["volume_mounts"] is not None:
        wanted[settings.VOLUMES] = options["volume_mounts"]
    if options["swarm_resource"]:
        wanted[settings.SWARM] = [*dict.fromkeys(options["swarm_resource"])]
    return own_settings.plan(machine, CONFIG, wanted)


def _warnings(options: dict[str, Any]) -> list[str]:
    from gpudock.refresh import settings

    if not options["default"]:
        return []
    open_to_all = (
        settings.read().accept_envvar_when_unprivileged if options["strict"] is None else not options["strict"]
    )
    return [ALL_BY_DEFAULT] if open_to_all else []


def _preview(work: "Work", settings: "FileChange | None", where: "Paths", *, undo: bool) -> list[str]:
    first = [] if undo else [f"the start files would be installed in {where.libexec}"]
    return [*([settings.describe()] if settings else []), *first, *work.describe()]


def _made(work: "Work", settings: "FileChange | None", where: "Paths") -> list[str]:
    """The runtime goes by the settings of the time when it was installed, so they come first."""
    from gpudock.refresh import install

    changes = [settings] if settings else []
    for each in changes:
        each.apply()
    try:
        install.installed(where.libexec, where=where)
        return [*(each.describe() for each in changes), *work.apply()]
    except BaseException:
        for each in changes:
            each.revert()
            install.installed(where.libexec, where=where)
        raise


def _program(where: "Paths") -> list[str]:
    """Root's own copy of gpudock, by which the runtime has the plan made anew, after a reboot for example."""
    from gpudock.cli.terminal import say
    from gpudock.errors import HostError
    from gpudock.refresh import program
    from gpudock.refresh.paths import ROOT

    if os.geteuid() != 0 or where.libexec != ROOT.libexec:
        return []
    try:
        installed = program.installed()
    except HostError as error:
        say(f"{error.what} After a reboot, run: sudo gpudock refresh\n  why:  {error.why}\n  mend: {error.mend}")
        return []
    return [f"installed {installed}", *program.link_for_sudo(installed)]
