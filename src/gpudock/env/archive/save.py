"""An environment into one file: nothing has the file's name before all of it is there."""

import hashlib
import os
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from gpudock import __version__, publish
from gpudock.env.archive import form, part
from gpudock.env.archive.form import About, Sums
from gpudock.env.archive.image import Image
from gpudock.env.archive.steady import steady
from gpudock.env.naming import LOCK_FILE, RECIPE_FILE
from gpudock.env.session import Session
from gpudock.errors import HostError

Progress = Callable[[int, int], None]  # bytes done, and about how many there are
_HEADROOM = 1 << 20


class Texts(NamedTuple):
    name: str
    recipe: bytes
    lock: bytes
    made: str


def to_file(session: Session, image: Image, texts: Texts, path: str, progress: Progress) -> int:
    """Its size. An interrupted one is gone on with by the next call. Raises HostError."""
    staging = part.place(path)
    try:
        with part.opened(staging, session.owner.uid) as file:
            there = os.fstat(file.fileno()).st_size
            _room(path, image.size - there)
            target = part.Part(file, there)
            _write(session, image, texts, target.put, progress)
            target.whole()
            if os.geteuid() == 0:
                os.fchown(file.fileno(), session.owner.uid, session.owner.gid)
            size = file.tell()
        os.rename(staging, path)
        publish.sync_folder(os.path.dirname(path) or ".")
    except OSError as error:
        mend = f"make room; saving again goes on with {staging}" if error.errno == 28 else ""
        raise HostError(f"{path} cannot be written.", why=error.strerror or str(error), mend=mend) from error
    return size


def to_stream(
    session: Session, image: Image, texts: Texts, write: Callable[[bytes], object], progress: Progress
) -> None:
    _write(session, image, texts, write, progress)


def _room(path: str, needed: int) -> None:
    free = os.statvfs(os.path.dirname(os.path.abspath(path)))
    left = free.f_bavail * free.f_frsize
    if needed + _HEADROOM > left:
        raise HostError(
            f"There is no room for {path}.",
            why=f"it needs about {needed >> 20} MiB, and {left >> 20} MiB are free",
            mend="save to another disk: -o FILE",
        )


def _write(session: Session, image: Image, texts: Texts, write: Callable[[bytes], object], progress: Progress) -> None:
    about = About(form.FORMAT, texts.name, image.id, image.layers, __version__, texts.made)
    first = {form.ABOUT: msgspec.json.encode(about), RECIPE_FILE: texts.recipe, LOCK_FILE: texts.lock}
    for name, data in first.items():
        write(form.member(name, data))
    names: list[str] = []
    size = 0
    with session.reading(*image.save_words(session)) as read:
        for data in form.in_pieces(steady(read)):
            name = form.piece_name(len(names), data)
            write(form.member(name, data))
            names.append(name.partition("-")[2])
            size += len(data)
            progress(size, image.size)
    sums = Sums({name: hashlib.sha256(data).hexdigest() for name, data in first.items()}, tuple(names), size)
    write(form.member(form.SUMS, msgspec.json.encode(sums)) + form.end())
