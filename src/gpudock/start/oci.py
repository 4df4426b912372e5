"""A bundle's config.json: read whole, written whole, and taken back to what it was before we edited it last time."""

import os
import stat

from gpudock.errors import HostError, InputError
from gpudock.start import changes, encode, parse, reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gpudock.start.changes import Changes

    Json = Any

LIMIT = 16 << 20  # bytes
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
    return value


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
        if name != kept and name.startswith("gpudock-") and name.endswith(".json"):
            os.unlink(f"{bundle}/{name}")


def rootfs(config: "dict[str, Json]", bundle: str) -> str:
    """Raises InputError."""
    root = config.get("root")
    path = root.get("path") if isinstance(root, dict) else None
    if not isinstance(path, str) or not path or "\0" in path:
        raise InputError("The container's config.json is not usable.", why="root.path should be a path")
    return os.path.join(bundle, path)


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


def _record(bundle: str, mark: "Json") -> "list[changes.Change]":
    if not isinstance(mark, str) or len(mark) != 16 or mark.strip("0123456789abcdef"):
        raise InputError("the annotation is not gpudock's")
    record = parse.json(reading.file(f"{bundle}/{RECORD.format(mark)}", LIMIT), "the record")
    return record["made"]  # type: ignore[no-any-return]
