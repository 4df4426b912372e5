"""Everything that a new container of an environment needs to be known, put together."""

import os
import re
from typing import NamedTuple

from gpudock.env import devices
from gpudock.env.archive import image as images
from gpudock.env.create import Start, Who
from gpudock.env.naming import ENTRY
from gpudock.env.project import Project
from gpudock.env.services import table
from gpudock.env.services.display import Shown
from gpudock.env.session import Session
from gpudock.plan.request import NONE, VOID, parse_gpus

_PODMAN_INIT = ("/usr/libexec/podman/catatonit", "/usr/bin/catatonit", "/usr/local/libexec/podman/catatonit")


class Image(NamedTuple):
    reference: str
    lock: str  # the whole hash of the lock that it was built from


def start(session: Session, project: Project, image: Image, shown: Shown, *, rm: bool = False) -> Start:
    """Raises HostError for a device that is not there."""
    recipe = project.recipe
    who = inside(session, project)
    nodes = devices.find(recipe.devices) if not session.remote else devices.Devices(_as_named(recipe.devices))
    if shown.draws and not session.remote and not _has_gpus(recipe.gpus):
        nodes += devices.graphics()
    nodes = devices.without_root(nodes) if session.rootless else nodes
    for note in nodes.notes:
        session.say(note)
    served = tuple((each, each.wished) for each in table.services(recipe, root=who.uid == 0))
    source = project.names.container if session.remote else project.folder
    flags = (*peculiarities(session), *shown.flags)
    home = session.environment.get("HOME", "")
    found = images.find(session, image.reference)  # in a dry run it may be missing
    return Start(
        project.names,
        project.folder,
        source,
        session.owner,
        image.lock,
        image.reference,
        recipe,
        served,
        who,
        nodes,
        flags,
        home,
        rm,
        found.entry == (ENTRY,) if found else recipe.dockerfile is None,
    )


def inside(session: Session, project: Project) -> Who:
    """Files are to belong to the owner: where the engine's root is that very user, it is root inside."""
    told, owner = project.recipe.user, session.owner
    uid, gid = (0, 0) if session.rootless and not session.podman else (owner.uid, owner.gid)
    uid = told.uid if told.uid is not None else uid
    gid = told.gid if told.gid is not None else gid
    return Who(uid, gid, told.name or ("root" if uid == 0 else user_name(owner.name)))


def user_name(text: str) -> str:
    """As the image's entry takes it. Root's name is root's alone."""
    found = re.sub(r"[^a-z0-9_-]", "-", text.lower())[:32]
    return found if re.match(r"[a-z_]", found) and found != "root" else "user"


def peculiarities(session: Session) -> tuple[str, ...]:
    """What this engine needs besides. The image's entry begins as root and becomes the user."""
    if not session.podman:
        return ("--init",)
    init = ("--init",) if session.remote or any(os.path.exists(path) for path in _PODMAN_INIT) else ()
    return (*init, *(("--userns=keep-id", "--user", "0:0") if session.rootless else ()))


def _has_gpus(gpus: str) -> bool:
    return bool(gpus) and parse_gpus(gpus).devices not in {NONE, VOID}


def _as_named(wanted: tuple[str, ...]) -> tuple[str, ...]:
    """On another machine nothing can be looked at: what is named is asked for."""
    words = [("--device", each) for each in wanted if each.startswith("/")]
    return tuple(word for pair in words for word in pair)
