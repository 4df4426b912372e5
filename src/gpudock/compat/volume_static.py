"""Fixed folders such as /usr/local/nvidia that always show the present driver, so that compose files name no version.

Each is a link to a whole volume, and is switched by a rename: whoever starts a container gets the old driver or the new
one, and a container that runs keeps the volume that it has mounted.
"""

import os

from gpudock import publish
from gpudock.compat import volume_record
from gpudock.compat.volume import Volumes
from gpudock.errors import HostError, RefusedError, UsageError
from gpudock.plan.document import Plan


def keep(volumes: Volumes, folder: str, plan: Plan) -> list[str]:
    """Let `folder` show the driver from now on. Returns what was done. Raises GpudockError."""
    path = _checked(volumes, folder)
    with volumes.changing():
        known = volume_record.read(volumes.folder)
        if path not in known:
            volume_record.write(volumes.folder, [*known, path])
        return _switched(volumes, plan)


def follow(volumes: Volumes, plan: Plan) -> list[str]:
    """Let every fixed folder show this plan's driver. Returns what was done."""
    if not volume_record.read(volumes.folder):
        return []
    with volumes.changing():
        return _switched(volumes, plan)


def drop(volumes: Volumes, folder: str) -> list[str]:
    """Take a fixed folder away. Containers that run keep what they have mounted."""
    path = os.path.abspath(folder)
    with volumes.changing():
        known = volume_record.read(volumes.folder)
        if path not in known:
            raise RefusedError(f"{path} is not kept by gpudock.", why=f"kept are {', '.join(known) or 'none'}")
        done = []
        if _ours(volumes, path):
            _unlink(path)
            done.append(f"removed {path}")
        volume_record.write(volumes.folder, [each for each in known if each != path])
    return done


def _switched(volumes: Volumes, plan: Plan) -> list[str]:
    place = volumes.ensure(plan)
    done = []
    for path in volume_record.read(volumes.folder):
        if volume_record.target(path) == place:
            continue
        if os.path.lexists(path) and not _ours(volumes, path):
            raise RefusedError(f"{path} is no longer a link of gpudock's.", mend="remove it, or what was put there")
        _link(place, path)
        done.append(f"{path} shows driver {plan['driver']}")
    return done


def _checked(volumes: Volumes, folder: str) -> str:
    path = os.path.abspath(folder)
    parent = os.path.dirname(path)
    if path == "/" or path.startswith(f"{volumes.folder}/"):
        raise UsageError(f"{path} cannot show the driver.", mend="name a folder such as /usr/local/nvidia")
    if not os.path.isdir(parent):
        raise UsageError(f"There is no folder {parent}.", mend="make it, or name another")
    danger = publish.insecure(parent)
    if danger:
        raise RefusedError(f"{path} could be replaced by others.", why=danger, mend="name a folder of root's")
    if os.path.lexists(path) and not _ours(volumes, path):
        why = "it may be the driver itself, or somebody's files"
        raise RefusedError(f"{path} is there already.", why=why, mend="name another folder, or move it away")
    return path


def _ours(volumes: Volumes, path: str) -> bool:
    return (volume_record.target(path) or "").startswith(f"{volumes.folder}/")


def _link(target: str, path: str) -> None:
    temporary = f"{os.path.dirname(path)}/.{os.path.basename(path)}.{os.urandom(4).hex()}.tmp"
    try:
        os.symlink(target, temporary)
        os.rename(temporary, path)
        publish.sync_folder(os.path.dirname(path))
    except OSError as error:
        raise HostError(f"Cannot make the link {path}.", why=error.strerror or str(error)) from error


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError as error:
        raise HostError(f"Cannot remove {path}.", why=error.strerror or str(error)) from error
