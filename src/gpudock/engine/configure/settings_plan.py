"""From the settings that are wanted of one docker to its file, after looking at what they need of the machine."""

from typing import Any, NamedTuple

from gpudock.engine.configure import change, data_root, docker_confirm, docker_settings, flags, set_record, userns
from gpudock.engine.configure.daemon_json import Document
from gpudock.engine.configure.docker_settings import DATA_ROOT, LIVE_RESTORE, RELOADED, USERNS
from gpudock.engine.configure.dockerd import Daemon
from gpudock.engine.configure.wish import Settings, Wish
from gpudock.errors import RefusedError
from gpudock.host.root import Root

DATA = "/var/lib/docker"
USER_NAMESPACES = "/proc/sys/user/max_user_namespaces"


class Planned(NamedTuple):
    after: Document
    goal: dict[str, Any]  # what `docker info` has to say in the end
    reasons: tuple[str, ...]  # for a restart
    record: change.FileChange | None
    move: data_root.Move | None
    notes: tuple[str, ...]


def plan(daemon: Daemon, now: Document, wish: Wish, machine: Root) -> Planned:
    """Raises GpudockError for what docker would refuse, and for what must not be done to it."""
    wanted = docker_settings.check(wish.settings)
    after = docker_settings.applied(now, wanted)
    keys = docker_settings.changed(now.value, after.value)
    notes = docker_settings.notes(now, after, wanted, listens=wish.listens)
    if wanted.userns is not None:
        notes += _userns(daemon, wanted.userns, machine, new=USERNS in keys)
    if wanted.live_restore and (daemon.info.swarm or {}).get("LocalNodeState") == "active":
        why = "docker does not start with both"
        raise RefusedError(f"{LIVE_RESTORE} is not for a docker in a swarm.", why=why, mend="leave --live-restore out")
    move = _move(daemon, now, wanted.data_root, machine) if wanted.data_root is not None else None
    if move and move.copy and any(USERNS in each.value and each.value[USERNS] for each in (now, after)):
        notes.append(f"what userns-remap keeps in folders of {move.old} moves along")
    asked = tuple(key for key in docker_settings.KEYS if _asked(wanted, key))
    reasons = _reasons(daemon, keys, asked, machine)
    return Planned(
        after, docker_confirm.told(after.value, asked), reasons, _record(daemon, now, after, machine), move, (*notes,)
    )


def _asked(wanted: Settings, key: str) -> bool:
    given = {
        docker_settings.MIRRORS: wanted.mirrors,
        USERNS: wanted.userns,
        DATA_ROOT: wanted.data_root,
        LIVE_RESTORE: wanted.live_restore,
        docker_settings.LOG: wanted.log_size or wanted.log_files,
        docker_settings.ULIMITS: wanted.ulimits,
        docker_settings.SHM: wanted.shm_size,
        docker_settings.NODE: wanted.node,
    }
    return given[key] not in (None, ())


def _userns(daemon: Daemon, wanted: str, machine: Root, *, new: bool) -> list[str]:
    if daemon.rootless:
        why = "it runs in a user namespace already"
        raise RefusedError("userns-remap is not for a rootless docker.", why=why, mend="leave --userns-remap out")
    texts = (machine.text(path) or "" for path in ("/etc/passwd", "/etc/group", userns.SUBUID, userns.SUBGID))
    notes = userns.check(wanted, userns.Accounts(*texts), machine.text(USER_NAMESPACES, 32))
    return [userns.BREAKS, *notes] if new else notes


def _move(daemon: Daemon, now: Document, wanted: str, machine: Root) -> data_root.Move:
    flag = flags.given(daemon.flags, "data-root")
    set_before = now.value.get(DATA_ROOT)
    old = flag.value if flag else set_before if isinstance(set_before, str) else _usual(daemon)
    return data_root.plan(machine.host(old), machine.host(wanted), machine.text("/proc/mounts") or "")


def _usual(daemon: Daemon) -> str:
    """Where docker says its data are; with userns-remap that is a folder in it."""
    root = daemon.info.docker_root_dir
    above, _, last = root.rpartition("/")
    return (above if last.replace(".", "").isdecimal() else root) or DATA


def check_stopped(daemon: Daemon, move: data_root.Move, *, restart: bool) -> None:
    """Raises RefusedError where docker would run while its data are copied."""
    if not move.copy or not daemon.running:
        return
    if daemon.info.live_restore_enabled and daemon.info.containers_running:
        why = f"{daemon.info.containers_running} containers run on without docker (live-restore), on the old folder"
        raise RefusedError("Docker's data cannot be moved now.", why=why, mend="docker stop the containers first")
    if not restart:
        raise RefusedError("Docker has to be stopped to move its data.", mend="add --restart, or stop docker before")
    if not daemon.manager.stop:
        why = "it was started by hand, and gpudock could not start it again as it was"
        raise RefusedError(
            "Docker has to be stopped to move its data.", why=why, mend="stop docker, and run this again"
        )


def _reasons(daemon: Daemon, keys: tuple[str, ...], asked: tuple[str, ...], machine: Root) -> tuple[str, ...]:
    """Settings that need a restart: changed now, or since docker was started."""
    restart_only = [key for key in asked if key not in RELOADED]
    new = [key for key in restart_only if key in keys]
    if not new and restart_only and daemon.process:
        info = machine.stat(daemon.config)
        new = restart_only if info and info.st_mtime > daemon.process.started else []
    return (f"it reads {', '.join(new)} when it starts",) if new else ()


def _record(daemon: Daemon, now: Document, after: Document, machine: Root) -> change.FileChange | None:
    if not docker_settings.changed(now.value, after.value):
        return None
    file = change.read(machine, daemon.config + set_record.NAME)
    text = set_record.noted(set_record.read(file.data, file.path), now, after)
    return change.FileChange(file, text)
