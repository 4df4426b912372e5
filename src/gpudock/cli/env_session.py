"""What the verbs that make an image begin with: the project, and the machine that it is for. See also env_here."""

import os
from typing import TYPE_CHECKING

from gpudock.cli.terminal import say
from gpudock.cli.verb import Option

if TYPE_CHECKING:
    from gpudock.env.choose.machine import Machine
    from gpudock.env.project import Project
    from gpudock.env.session import Session

FOLDER = Option(("--folder", "-C"), "folder", "The project's folder. [default: this one]", metavar="FOLDER")
NETWORK = Option(
    ("--network",), "network", "The network of the build, as docker's --network.", default="", metavar="NAME"
)
FOR = Option(
    ("--for",), "machine", "The machine that shall run it: a file of `gpudock host snapshot`.", metavar="SNAPSHOT"
)


def project(folder: str | None) -> "Project":
    """Of the folder named, else of the nearest with a gpudock.yaml from here upwards."""
    from gpudock.cli import env_here
    from gpudock.env import owner
    from gpudock.env import project as projects

    return projects.load(env_here.folder(folder), owner.here(os.environ).uid)


def machine(snapshot: str | None, session: "Session | None" = None) -> "Machine":
    """The machine of a snapshot, of an engine elsewhere, or this one."""
    from gpudock.cli.options import HostOptions
    from gpudock.env.choose.machine import Machine, of_snapshot
    from gpudock.plan.quote import quote

    if snapshot is None and session is not None and session.remote:
        from gpudock import proc
        from gpudock.engine import remote

        told, why = remote.snapshot(session.client.endpoint.address, proc.run)
        if told is None:
            say(f"what the engine's machine runs is not known ({quote(why, 200)}): name it by --for")
        return of_snapshot(told) if told else Machine(machine="")
    return of_snapshot(HostOptions(snapshot=snapshot).load(announce=snapshot is None))
