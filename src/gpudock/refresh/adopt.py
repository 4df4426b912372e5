"""Takes over from NVIDIA's toolkit, and gives back: moves its specifications aside, switches its refresh units off."""

import os
import stat
from collections.abc import Iterable, Mapping
from itertools import count

import msgspec

from gpudock import proc, publish
from gpudock.errors import HostError, RefusedError
from gpudock.refresh import cycle
from gpudock.refresh.paths import Paths, check

UNITS = ("nvidia-cdi-refresh.path", "nvidia-cdi-refresh.service")


class _Record(msgspec.Struct):
    specs: dict[str, str] = {}  # where it was -> where it is now
    units: list[str] = []


def _record(paths: Paths) -> str:
    return f"{paths.state}/adopted/record.json"


def adopt(specs: Iterable[str], paths: Paths, run: proc.Runner) -> list[str]:
    """Move the specifications into the state folder and switch off the units that would write them again.

    Returns one line for each thing done. The record is written before anything moves, so `undo` can always give back.
    """
    check(paths)
    with publish.lock(paths.lock):
        return _adopted(specs, paths, run)


def _adopted(specs: Iterable[str], paths: Paths, run: proc.Runner) -> list[str]:
    folder = os.path.dirname(_record(paths))
    publish.make_folder(folder, 0o700)
    record = _read(paths)
    moves = record.specs
    for path in specs:
        if path not in moves:
            moves[path] = _unused(moves, folder, os.path.basename(path))
    units = sorted({*record.units, *(unit for unit in UNITS if _enabled(unit, run))})
    publish.write(_record(paths), msgspec.json.encode(_Record(moves, units)), 0o600)
    done = [f"switched off {unit}" for unit in units if _systemctl("disable", unit, run)]
    for path, backup in moves.items():
        if os.path.exists(path):
            _move(path, backup)
            done.append(f"moved {path} to {backup}")
    return done


def undo(paths: Paths, run: proc.Runner) -> list[str]:
    """Put back what `adopt` moved and switch its units on again; our own specification goes. Raises RefusedError."""
    check(paths)
    with publish.lock(paths.lock):
        return _undone(paths, run)


def _unused(moves: Mapping[str, str], folder: str, name: str) -> str:
    """A path that no backup has: two specifications often have one name, in /etc/cdi and in /run/cdi."""
    return next(path for number in count(len(moves)) if (path := f"{folder}/{number}-{name}") not in moves.values())


def _undone(paths: Paths, run: proc.Runner) -> list[str]:
    if not os.path.exists(_record(paths)):
        raise RefusedError("There is nothing to undo.", why="gpudock refresh --adopt was not used on this machine")
    record = _read(paths)
    done = [f"removed {path}" for path in cycle.withdraw(paths)]
    for path, backup in record.specs.items():
        if os.path.exists(backup):
            _move(backup, path)
            done.append(f"put back {path}")
    done += [f"switched on {unit}" for unit in record.units if _systemctl("enable", unit, run)]
    os.unlink(_record(paths))
    return done


def _read(paths: Paths) -> _Record:
    try:
        with open(_record(paths), "rb") as file:
            return msgspec.json.decode(file.read(), type=_Record)
    except FileNotFoundError:
        return _Record()
    except msgspec.DecodeError as error:
        raise HostError(f"{_record(paths)} is broken.", why=str(error)) from error


def _move(old: str, new: str) -> None:
    """Copy, then unlink: the backup is on another file system than /run."""
    try:
        with open(old, "rb") as file:
            publish.write(new, file.read(), stat.S_IMODE(os.fstat(file.fileno()).st_mode))
        os.unlink(old)
    except OSError as error:
        raise HostError(f"Cannot move {old} to {new}.", why=error.strerror or str(error)) from error


def _enabled(unit: str, run: proc.Runner) -> bool:
    return run(proc.Command(("systemctl", "is-enabled", "--quiet", unit), timeout=10)).ok


def _systemctl(verb: str, unit: str, run: proc.Runner) -> bool:
    return run(proc.Command(("systemctl", verb, "--now", unit), timeout=30)).ok
