"""Snapshots as JSON. A snapshot may come from a stranger's bug report, so reading one trusts nothing."""

import msgspec

from gpudock import __version__
from gpudock.errors import InputError
from gpudock.facts.snapshot import FORMAT, Snapshot
from gpudock.host import snapshot_check

LIMIT = 16 << 20  # bytes


class SnapshotError(InputError):
    def __init__(self, why: str, *, mend: str = "write a new one with: gpudock host snapshot -o FILE") -> None:
        super().__init__("This is not a snapshot that gpudock can use.", why=why, mend=mend)


class _Head(msgspec.Struct):
    """What every format has, read before the rest is judged."""

    format: int
    gpudock: str = ""


def encode(snapshot: Snapshot) -> bytes:
    """Indented JSON; the same snapshot always gives the same bytes."""
    return msgspec.json.format(msgspec.json.encode(snapshot, order="deterministic"), indent=2) + b"\n"


def decode(data: bytes) -> Snapshot:
    """The snapshot, after every value in it was found possible. Raises SnapshotError and nothing else."""
    if len(data) > LIMIT:
        raise SnapshotError(f"it is larger than {LIMIT >> 20} MiB")
    try:
        head = msgspec.json.decode(data, type=_Head)
        if head.format > FORMAT:
            raise SnapshotError(
                f"its format is {head.format}, gpudock {__version__} reads up to {FORMAT}",
                mend="use the gpudock that wrote it, or a newer one",
            )
        snapshot = msgspec.json.decode(data, type=Snapshot)
    except msgspec.ValidationError as error:
        raise SnapshotError(_plain(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SnapshotError(f"it is broken or cut off: {_plain(error)}") from error
    except RecursionError as error:
        raise SnapshotError("it is nested too deeply") from error
    problem = snapshot_check.problem(snapshot)
    if problem:
        raise SnapshotError(problem)
    return snapshot


def _plain(error: Exception) -> str:
    """The message without what could move a terminal's cursor."""
    return "".join(character if character.isprintable() else "?" for character in str(error))[:300]
