"""An environment out of its file: verified piece by piece, and nothing is there before all of it is right.

The engine is not given the last piece before every checksum and the image's own list of contents was looked at; until
then it only collects. If anything is wrong, or we are interrupted, its input ends early and it drops what it has.
"""

import json
from collections.abc import Callable, Iterator

from gpudock.engine.build import tarwalk
from gpudock.env.archive import image
from gpudock.env.archive.form import DamagedError, Piece, Reader
from gpudock.env.archive.image import Image
from gpudock.env.session import Session
from gpudock.errors import EngineError, InputError, RefusedError
from gpudock.plan.quote import quote

Progress = Callable[[int], None]
_LISTS = ("manifest.json", "repositories", "index.json")
_LARGEST = 4 << 20


def into_engine(session: Session, reader: Reader, progress: Progress) -> Image:
    """The image, without a name. One that is there already is only verified. Raises InputError, EngineError."""
    wanted = reader.about.image
    before = image.find(session, wanted)
    if before is not None:
        for _ in _counted(reader.pieces(), progress):
            pass
        return before
    try:
        with session.feeding("load") as write:
            _feed(reader, write, progress)
        return _arrived(session, reader)
    except BaseException:
        if image.find(session, wanted) is not None:
            session.ask("image", "rm", wanted)
        raise


def _arrived(session: Session, reader: Reader) -> Image:
    found = image.find(session, reader.about.image)
    if found is None:
        raise EngineError(f"{session.client.name} took the image and does not have it.", mend="try again")
    if found.layers != reader.about.layers:
        raise DamagedError("the image has other layers than it had when it was saved")
    return found


def _counted(pieces: Iterator[Piece], progress: Progress) -> Iterator[Piece]:
    done = 0
    for piece in pieces:
        done += len(piece.data)
        progress(done)
        yield piece


def _feed(reader: Reader, write: Callable[[bytes], object], progress: Progress) -> None:
    held: list[bytes] = []
    pieces = _counted(reader.pieces(), progress)
    left = b""

    def read(size: int) -> bytes:
        nonlocal left
        if not left:
            piece = next(pieces, None)
            if piece is None:
                return b""
            left = piece.data
            if piece.last:
                held.append(piece.data)
            else:
                write(piece.data)
        data, left = left[:size], left[size:]
        return data

    _look(read, reader.about.image)
    while read(tarwalk.CHUNK):
        pass
    for data in held:
        write(data)


def _look(read: Callable[[int], bytes], wanted: str) -> None:
    """The image's own lists: one image, the one that is promised, and no name that would be moved to it."""
    lists: dict[str, bytes] = {}
    try:
        for each in tarwalk.members(read):
            if each.name in _LISTS and each.size <= _LARGEST:
                parts = []
                while data := each.body.read():
                    parts.append(data)
                lists[each.name] = b"".join(parts)
        manifest = json.loads(lists.get("manifest.json", b"null"))
        named = json.loads(lists.get("repositories", b"{}"))
        index = json.loads(lists.get("index.json", b"{}"))
        (only,) = manifest
        config = str(only["Config"]).rpartition("/")[2].removesuffix(".json")
        names = [*(only.get("RepoTags") or ()), *named, *_annotated(index)]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedError(f"the image in it cannot be understood: {quote(str(error), 200)}") from error
    if config != wanted:
        raise InputError(
            "The image in this file is another one than the file says.", why=f"{config[:12]}, not {wanted[:12]}"
        )
    if names:
        raise RefusedError(
            "This file would give its image a name of its own choice.",
            why=f"it names {quote(str(names[0]))}, and an image of yours may be called that",
            mend="files that gpudock env save wrote have no names in them",
        )


def _annotated(index: dict[str, object]) -> list[object]:
    manifests = index.get("manifests") or ()
    assert isinstance(manifests, list | tuple)
    keys = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
    return [each["annotations"][key] for each in manifests for key in keys if key in (each.get("annotations") or {})]
