"""Things that are slow to make (images, another Docker, driver packages), kept between runs in this user's cache."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gpudock-tests"


def key(*parts: str | bytes) -> str:
    """A short name for what a thing is made of: other parts, other name."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:12]


def place(stem: str, key: str, suffix: str = "") -> Path:
    return FOLDER / f"{stem}.{key}{suffix}"


def kept(stem: str, key: str, make: Callable[[Path], None], suffix: str = "") -> Path:
    """The file or folder STEM.KEY+SUFFIX of the cache. make(PATH) makes it beside its place, whence one rename puts it there:
    what is found there is complete. Forms with another key are removed.
    """
    final = place(stem, key, suffix)
    if final.exists():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    with _locked(final.parent / f".{Path(stem).name}.lock"):
        if final.exists():
            return final
        staging = final.with_name(f".{final.name}.making")
        _remove(staging)
        make(staging)
        for old in final.parent.glob(f"{Path(stem).name}.*{suffix}"):
            _remove(old)
        staging.rename(final)
    return final


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
