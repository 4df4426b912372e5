"""The OCI runtime in front of runc or crun: gives a container the GPUs that it asks for, and becomes the real runtime.

It runs as the engine does, mostly as root, on a config.json that the engine wrote and a rootfs that the image's author
chose. It starts no program but the real runtime, and `gpudock refresh` where the machine has changed.
"""

import _signal  # the module signal would import enum
import gc
import os
import sys
import time

from gpudock.errors import GpudockError, HostError, RefusedError
from gpudock.plan import capabilities, environment
from gpudock.plan.document import MOUNT_POINT
from gpudock.plan.request import VOID
from gpudock.plan.select import select
from gpudock.start import asked, current, edit, encode, injection, lookup, oci, paths, plans, reading, settings
from gpudock.start.changes import Changes
from gpudock.start.command import Command
from gpudock.start.rootfs import VolumeError, refuse_links
from gpudock.start.volumes import ContainerRoot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gpudock.plan.document import Plan, Variant
    from gpudock.plan.select import Selected
    from gpudock.start.asked import Asked
    from gpudock.start.settings import Settings

_LINE = 4096  # bytes of a message
_ENVIRONMENT = 8 << 20  # bytes
_SETS = 16  # of capabilities that starts may have prepared: each makes the plan longer, which is read at every start
_MAGIC = ("/proc/self/", "/proc/thread-self/", "/dev/fd/", "/dev/std")


def main(argv: "list[str]") -> int:
    """`argv` is what entry.sh makes. Returns an exit code when the container cannot be started, else never."""
    gc.disable()  # too short a life to need it
    log = ""
    try:
        command = Command(argv)
        log = command.log
        for note in _prepare(command):
            say(note, log, "warning")
        _become(command)
    except GpudockError as error:
        say(str(error), log, "error")
        return error.exit_code
    except Exception as error:  # noqa: BLE001  a traceback would go into the user's terminal and the daemon's log
        say(f"unexpected {type(error).__name__}: {error}", log, "error")
        return 1
    return 1


def say(text: str, log: str, level: str) -> None:
    """One line: to the file of --log, which docker shows its user, and errors to stderr too, which podman shows."""
    shown = "".join(character if character.isprintable() else "?" for character in "gpudock: " + text)[:_LINE]
    if level == "error" or not log:
        os.write(2, shown.encode(errors="replace") + b"\n")
    if log:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = encode.json({"level": level, "msg": shown, "time": now}) + b"\n"
        try:
            fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError:  # then the engine has lost it; the error itself counts
            return
        try:
            os.write(fd, line)
        finally:
            os.close(fd)


def _prepare(command: Command) -> "list[str]":
    """Edit config.json and rootfs as far as the container asks for it. Returns notes for the user."""
    config = oci.read(command.config)
    restored = oci.restore(config, command.bundle)
    found, broken = _settings(command.settings)
    wanted = asked.asked(config, found)
    edited = Changes(config)
    notes = list(wanted.notes)
    if wanted.request.devices == VOID:
        injection.strip_nvidia_hook(edited)
    elif broken:
        raise broken
    else:
        notes += _give(found, wanted, edited, command)
    if restored or edited.made:
        oci.write(command.config, edited, command.bundle)
    return notes


def _settings(path: str) -> "tuple[Settings, GpudockError | None]":
    """The defaults beside the error when they cannot be read: a container without GPUs starts all the same."""
    try:
        return settings.read(path), None
    except GpudockError as error:
        return settings.DEFAULT, error


def _give(found: "Settings", wanted: "Asked", edited: Changes, command: Command) -> "list[str]":
    plan, variant, selected = _choose(found, wanted)
    notes = _required(found, wanted, plan, selected)
    what = injection.given(plan, variant, selected, wanted)
    umask = os.umask(0o022)
    try:
        path, mounts = oci.rootfs(edited.config, command.bundle), edited.items("mounts")
        bundle = command.bundle  # the real runtime would look for what is not absolute below the bundle
        bundle = bundle if bundle.startswith("/") else f"{os.getcwd()}/{bundle}"
        root = ContainerRoot(path, mounts, bundle, lookup.choose(found.lookup))
        root.owner = injection.container_root(edited.config)
        refuse_links(root)
        _check_folder(edited.config, root)
        left_out = _impossible(root, what)
        injection.inject(edited, what, rootless=plans.in_user_namespace())
        if found.withhold:
            injection.add_hook(edited, sys.executable, command.settings.rpartition("/")[0] + "/hook.py")
        gpus = [gpu for gpu in plan["gpus"] if any(each.gpu is gpu for each in selected)]
        changed = edit.apply(root, plan, variant, gpus)
    finally:
        os.umask(umask)
    for mount in root.generated:
        edited.add("mounts", mount)
    return [*notes, *left_out, *changed]


def _choose(found: "Settings", wanted: "Asked") -> "tuple[Plan, Variant, tuple[Selected, ...]]":
    plan = current.plan(found)
    selected = select(plan, wanted.request)
    names = wanted.request.capabilities or capabilities.DEFAULT
    label = capabilities.label(names)
    if label not in plan["variants"]:
        asked_for = ",".join(names)
        missing = HostError(
            f"The driver was not prepared for containers with only {asked_for}.",
            why="refresh builds the usual sets of capabilities, and those that it is asked for",
            mend=f"sudo gpudock refresh --capabilities {asked_for}",
        )
        from gpudock.start import renew  # noqa: PLC0415  hardly any start needs it

        if len(plan["variants"]) >= _SETS:  # images choose these, and no image is to fill the machine
            missing.why = f"containers have asked for {_SETS} sets already, and more are made for root alone"
            raise missing
        if not renew.may_refresh(found):
            raise missing
        renew.refresh(found, "--capabilities", asked_for, because=missing)
        plan = current.plan(found)
        selected = select(plan, wanted.request)
        if label not in plan["variants"]:
            raise missing
    return plan, plan["variants"][label], selected


def _required(found: "Settings", wanted: "Asked", plan: "Plan", selected: "tuple[Selected, ...]") -> "tuple[str, ...]":
    """Refuse an image that this machine is not enough for. Returns notes for the user."""
    if not environment.may_require(wanted.variables):
        return ()
    from gpudock.plan import requirement  # noqa: PLC0415  only what says "require" needs it

    requirements, notes = requirement.from_environment(wanted.variables)
    if not found.disable_require:
        requirement.check(requirements, requirement.properties_of(plan, selected))
    return notes


def _check_folder(config: "dict[str, Any]", root: ContainerRoot) -> None:
    """CVE-2024-21626: a descriptor that the runtime has open as the container's working folder, or on the way to it."""
    folder, here = oci.path_in(config.get("process") or {}, "cwd", "process"), ""
    for part in folder.split("/"):
        here += "/" + part if part not in {"", "."} else ""
        place = paths.normal(root.place(here))
        if (place + "/").startswith(_MAGIC) or (place.startswith("/proc/") and "fd" in place.split("/")):
            raise RefusedError(
                f"{folder!r:.200} cannot be the working folder of this container.",
                why="it leads to what the runtime has open, not into the image",
                mend="choose a working folder of the image (-w, WORKDIR)",
            )


def _impossible(root: ContainerRoot, what: injection.Given) -> "list[str]":
    """Drop mounts for which there is no place, but neither the driver nor nodes. Returns what was dropped."""
    obstacles = {mount["container"]: root.obstacle(mount["container"]) for mount in what.mounts}
    in_the_way = obstacles.get(MOUNT_POINT)
    if in_the_way:
        raise VolumeError(MOUNT_POINT, in_the_way)
    for node in what.nodes:
        volume = root.node_obstacle(node["path"])
        if volume:
            raise VolumeError(node["path"], volume)
    what.mounts = [mount for mount in what.mounts if not obstacles[mount["container"]]]
    return [f"the volume on {volume} keeps out {place}" for place, volume in obstacles.items() if volume]


def _become(command: Command) -> None:
    """The real runtime in this process's place, with everything as the engine handed it over."""
    environ = _environment()
    _close_others(2 + command.preserved + _listening(environ))  # runc counts the former after the latter
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):  # Python ignores them, and that would be inherited
        _signal.signal(number, _signal.SIG_DFL)
    try:
        os.execve(command.real, (command.real, *command.arguments), environ)
    except OSError as error:
        raise HostError(f"The runtime {command.real} cannot be started.", why=error.strerror or "") from error


def _listening(environ: "dict[bytes, bytes]") -> int:
    """Descriptors that are handed to the container by LISTEN_FDS."""
    number = environ.get(b"LISTEN_FDS", b"")
    return int(number) if number.isdigit() and len(number) < 6 else 0


def _close_others(last: int) -> None:
    """A descriptor that the engine has left open by mistake is a way out of the container: CVE-2024-21626."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > last:
            os.closerange(int(name), int(name) + 1)  # not close: one of them was the listing's own


def _environment() -> "dict[bytes, bytes]":
    """As it was at the start: the interpreter adds LC_CTYPE to os.environ."""
    entries = reading.file("/proc/self/environ", _ENVIRONMENT).split(b"\0")
    pairs = (entry.partition(b"=") for entry in entries)
    return {name: value for name, equals, value in pairs if equals}
