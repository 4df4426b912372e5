"""A bundle's config.json: read whole, written whole, and taken back to what it was before we edited it last time."""

import os
import stat

from gpudock.errors import HostError, InputError
from gpudock.start import changes, encode, parse, paths, reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gpudock.start.changes import Changes

    Json = Any

LIMIT = 16 << 20  # bytes
# What is read here of a config.json, and of which type it must be where it is there.
_TYPES = {
    ("annotations",): dict,
    ("hooks",): dict,
    ("hooks", "createContainer"): list,
    ("hooks", "prestart"): list,
    ("linux",): dict,
    ("linux", "devices"): list,
    ("linux", "namespaces"): list,
    ("linux", "resources"): dict,
    ("linux", "resources", "devices"): list,
    ("mounts",): list,
    ("process",): dict,
    ("process", "capabilities"): dict,
    ("process", "capabilities", "bounding"): list,
    ("process", "env"): list,
    ("process", "user"): dict,
    ("process", "user", "additionalGids"): list,
}
MARK = "gpudock.edited"  # annotation: the record beside this config.json tells what was done to it
RECORD = "gpudock-{}.json"  # by its mark: one that was written just before a crash belongs to nothing


def read(path: str) -> "dict[str, Json]":
    """Raises InputError."""
    try:
        data = reading.file(path, LIMIT)
    except OSError as error:
        raise InputError("The container's config.json cannot be read.", why=f"{path}: {error.strerror}") from error
    if len(data) > LIMIT:
        raise InputError(f"The container's config.json is longer than {LIMIT >> 20} MiB.")
    value = parse.json(data, path)
    if not isinstance(value, dict):
        raise InputError("The container's config.json is not usable.", why=f"{path} holds no object")
    for names, kind in _TYPES.items():
        _check(value, names, kind)
    for mount in value.get("mounts") or ():
        if not isinstance(mount, dict) or not isinstance(mount.get("options") or [], list):
            raise InputError("The container's config.json is not usable.", why="a mount is not as it should be")
    for hook in (value.get("hooks") or {}).get("createContainer") or ():
        if not isinstance(hook, dict) or not isinstance(hook.get("path") or "", str):
            raise InputError("The container's config.json is not usable.", why="a hook is not as it should be")
        if not isinstance(hook.get("args") or [], list):
            raise InputError("The container's config.json is not usable.", why="a hook is not as it should be")
    return value


def _check(value: "Json", names: "tuple[str, ...]", kind: type) -> None:
    """null is as good as missing, and goes: nobody then has to think of it."""
    for name in names[:-1]:
        value = value.get(name)
        if value is None:
            return
    if names[-1] in value and value[names[-1]] is None:
        del value[names[-1]]
    if not isinstance(value.get(names[-1], kind()), kind):
        raise InputError("The container's config.json is not usable.", why=f"{'.'.join(names)} is no {kind.__name__}")


def path_in(value: "dict[str, Json]", name: str, place: str = "mounts") -> str:
    """ "" when there is none. Raises InputError for what the kernel would not take."""
    path = value.get(name)
    if path is None:
        return ""
    try:
        if isinstance(path, str) and "\0" not in path and paths.encoded(path) is not None:
            return path
    except UnicodeEncodeError:  # half of a surrogate pair
        pass
    raise InputError("The container's config.json is not usable.", why=f"{place}.{name} should be a path")


def restore(config: "dict[str, Json]", bundle: str) -> bool:
    """Take back what an earlier start of this bundle added. Returns whether there was anything."""
    annotations = config.get("annotations")
    if not isinstance(annotations, dict) or MARK not in annotations:
        return False
    try:
        changes.undo(config, _record(bundle, annotations[MARK]))
    except (OSError, InputError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            "The container's config.json holds GPUs of an earlier start that cannot be taken out.",
            why=f"{bundle}: {error}",
            mend=f"make the bundle anew, as engines do by themselves; the annotation {MARK} is gpudock's own",
        ) from error
    del annotations[MARK]
    if not annotations:
        del config["annotations"]
    return True


def write(path: str, edited: "Changes", bundle: str) -> None:
    """Replace config.json, with its owner and mode, after writing down what was done to it. Raises HostError."""
    config = edited.config
    kept = ""
    if edited.made:
        mark = os.urandom(8).hex()
        kept = RECORD.format(mark)
        if not config.get("annotations"):
            config["annotations"] = {}
        config["annotations"][MARK] = mark
        _replace(f"{bundle}/{kept}", encode.json({"made": edited.made}), path)
    _replace(path, encode.json(config), path)
    for name in os.listdir(bundle):
        if name != kept and _is_record(name):
            os.unlink(f"{bundle}/{name}")


def rootfs(config: "dict[str, Json]", bundle: str) -> str:
    """Raises InputError."""
    root = config.get("root")
    path = path_in(root, "path", "root") if isinstance(root, dict) else ""
    if not path:
        raise InputError("The container's config.json is not usable.", why="root.path should be a path")
    return paths.join(bundle, path)


def put(path: str, data: bytes, mode: int, owner: "tuple[int, int]") -> None:
    """As `publish.write`, but no fsync: a container that was starting at a power loss is gone anyway."""
    temporary = f"{path}.{os.urandom(6).hex()}.gpudock"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            if os.geteuid() == 0:
                os.fchown(fd, *owner)
            os.fchmod(fd, mode)
            os.rename(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        finally:
            os.close(fd)
    except OSError as error:
        raise HostError(f"{path} cannot be written.", why=error.strerror or str(error)) from error


def _replace(path: str, data: bytes, like: str) -> None:
    old = os.stat(like)
    put(path, data, stat.S_IMODE(old.st_mode), (old.st_uid, old.st_gid))


def _is_record(name: str) -> bool:
    """Other files there may be somebody's own."""
    before, _, after = RECORD.partition("{}")
    return name.startswith(before) and name.endswith(after) and _is_mark(name[len(before) : -len(after)])


def _is_mark(text: str) -> bool:
    return len(text) == 16 and not text.strip("0123456789abcdef")


def _record(bundle: str, mark: "Json") -> "list[changes.Change]":
    if not isinstance(mark, str) or not _is_mark(mark):
        raise InputError("the annotation is not gpudock's")
    record = parse.json(reading.file(f"{bundle}/{RECORD.format(mark)}", LIMIT), "the record")
    return record["made"]  # type: ignore[no-any-return]
