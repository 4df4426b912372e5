"""The program `nvidia-docker-plugin`, with the flags of nvidia-docker 1.0.1."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpudock.errors import GpudockError
    from gpudock.refresh.paths import Paths

_LIKE = "1.0.1"  # whose behaviour this is; gpudock's own version tells `gpudock --version`
FAILED = 1  # as nvidia-docker 1 ended, whatever the reason


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the daemon and exit: 0 after TERM, 1 after an error, 2 for flags that are not understood."""
    from gpudock.cli.main import bounded

    sys.exit(bounded(lambda: called(sys.argv[1:] if arguments is None else arguments), _failed))


def _failed(error: "GpudockError") -> int:
    from gpudock.compat.plugin_log import explained, log

    log(explained(error))
    return FAILED


def called(words: Sequence[str]) -> int:
    """Do what the words say. Raises GpudockError."""
    from gpudock import proc
    from gpudock.compat import plugin_unit
    from gpudock.compat.volume import usual_folder
    from gpudock.refresh import paths, program

    where = paths.default_paths()
    asked = _parser(usual_folder(where)).parse_args(words)
    if asked.version:
        print(f"NVIDIA Docker plugin: {_LIKE}")
        return 0
    if asked.install_unit:
        print("\n".join(plugin_unit.install(plugin_unit.daemon(program.installed()), proc.run)))
        return 0
    if asked.remove_unit:
        print("\n".join(plugin_unit.remove(plugin_unit.daemon(""), proc.run)))
        return 0
    _serve(asked, where)
    return 0


def _serve(asked: argparse.Namespace, where: "Paths") -> None:
    import os

    from gpudock.compat.plugin_daemon import Daemon, Settings
    from gpudock.compat.plugin_log import log
    from gpudock.refresh import paths
    from gpudock.refresh.current import current

    paths.check(where)
    # Docker is told these places, and has another working directory.
    sockets, volumes = os.path.abspath(asked.sockets), os.path.abspath(asked.volumes)
    place = paths.in_force(os.environ, uid=os.geteuid())
    Daemon(Settings(asked.listen, sockets, volumes, asked.spec), lambda: current(place).plan, place.spec, log).run()


def _parser(volumes: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nvidia-docker-plugin",
        description="Driver volumes for Docker, and GPUs by HTTP, as nvidia-docker 1 had them.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("-l", "--l", dest="listen", metavar="HOST:PORT", default="localhost:3476", help="where the REST API listens")
    add("-s", "--s", dest="sockets", metavar="FOLDER", default="/run/docker/plugins", help="folder of the socket")
    add("-d", "--d", dest="volumes", metavar="FOLDER", default=volumes, help="folder of the driver volumes")
    add("-v", "--v", "--version", dest="version", action="store_true", help="print the version")
    add("--spec", metavar="FILE", help="also tell Docker by this file where the socket is")
    add("--install-unit", "--install-units", action="store_true", help="run it at boot, by systemd")
    add("--remove-unit", "--remove-units", action="store_true", help="take that unit away again")
    return parser
