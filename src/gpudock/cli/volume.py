"""`gpudock volume`: driver volumes as nvidia-docker 1 had them, without Docker's plugin."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gpudock.compat.volume import Volumes
    from gpudock.refresh.paths import Paths

_HELP = "Where volumes are. [default: /var/lib/nvidia-docker/volumes]"
_folder = click.option("-d", "--volumes", "folder", metavar="FOLDER", help=_HELP)


@click.group()
def volume() -> None:
    """Make driver volumes: the driver's bin, lib and lib64 in one folder, as nvidia-docker 1 had them.

    For compose files, scripts and orchestrators that mount a driver by themselves. It is made of the driver tree, so
    `gpudock refresh` must have run. The daemon nvidia-docker-plugin (or `volume serve`) does the same for Docker.
    """


@volume.command()
@click.argument("name", required=False)
@_folder
@click.option("--static", metavar="FOLDER", help="Let this folder, such as /usr/local/nvidia, show the driver always.")
@click.option("--install-units", is_flag=True, help="Follow driver upgrades without the daemon, by systemd.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing when all is well.")
def create(name: str | None, folder: str | None, static: str | None, *, install_units: bool, quiet: bool) -> None:
    """Make the volume of the present driver, and print its folder.

    NAME is nvidia_driver_VERSION; without one it is the present driver's. Folders of --static are brought up to date:
    each is a link, switched in one step, so containers that run keep the driver that they were started with.
    """
    from gpudock.cli.terminal import show
    from gpudock.compat import volume_static
    from gpudock.compat.volume_name import DRIVER
    from gpudock.refresh.current import current

    volumes, where = _volumes(folder)
    volumes.prepare()
    plan = current(where).plan
    done = [volumes.create(name or f"{DRIVER}_{volumes.current()}").mountpoint]
    done += volume_static.keep(volumes, static, plan) if static else volume_static.follow(volumes, plan)
    if install_units:
        from gpudock import proc
        from gpudock.compat import plugin_unit
        from gpudock.refresh import program

        done += plugin_unit.install(plugin_unit.following(program.installed(), where.spec, volumes.folder), proc.run)
    if not quiet:
        show("\n".join(done))


@volume.command("ls")
@_folder
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(folder: str | None, *, as_json: bool) -> None:
    """List the driver volumes, with what uses them."""
    import json

    from gpudock.cli.terminal import show
    from gpudock.compat.volume_name import parsed

    volumes, _ = _volumes(folder)
    found = [(each, volumes.used_by(parsed(each.name).version)) for each in volumes.all()]
    if as_json:
        rows = [{"Name": each.name, "Mountpoint": each.mountpoint, "UsedBy": users} for each, users in found]
        show(json.dumps(rows, indent=1))
        return
    for each, users in found:
        show(f"{each.name}  {each.mountpoint}" + (f"  (used by {', '.join(users)})" if users else ""))


@volume.command()
@click.argument("names", nargs=-1)
@_folder
@click.option("--static", metavar="FOLDER", help="Take this fixed folder away; it is not followed any more.")
@click.option("--remove-units", is_flag=True, help="Take away the units of --install-units.")
def rm(names: tuple[str, ...], folder: str | None, static: str | None, *, remove_units: bool) -> None:
    """Remove driver volumes that nothing uses."""
    from gpudock.cli.terminal import show
    from gpudock.compat import volume_static
    from gpudock.errors import UsageError

    if not names and not static and not remove_units:
        raise UsageError("Nothing to remove was named.", mend="gpudock volume ls")
    volumes, where = _volumes(folder)
    done = volume_static.drop(volumes, static) if static else []
    for name in names:
        volumes.find(name)
        volumes.remove(name)
        done.append(f"removed {name}")
    if remove_units:
        from gpudock import proc
        from gpudock.compat import plugin_unit

        done += plugin_unit.remove(plugin_unit.following("", where.spec, ""), proc.run)
    show("\n".join(done))


@volume.command(context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def serve(words: tuple[str, ...]) -> int:
    """Run nvidia-docker-plugin, with its own flags.

    They are those of nvidia-docker 1: see `nvidia-docker-plugin --help`.
    """
    from gpudock.cli import nvidia_docker_plugin

    return nvidia_docker_plugin.called(words)


def _volumes(folder: str | None) -> "tuple[Volumes, Paths]":
    import os

    from gpudock.compat.volume import Volumes, usual_folder
    from gpudock.refresh import paths
    from gpudock.refresh.current import current

    own = paths.default_paths()
    paths.check(own)
    where = paths.in_force(os.environ, uid=os.geteuid())
    return Volumes(os.path.abspath(folder or usual_folder(own)), lambda: current(where).plan), where
