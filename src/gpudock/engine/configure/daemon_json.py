"""docker's daemon.json: text in, text out. Pure."""

from typing import Any, NamedTuple

from gpudock.engine.configure import json_text
from gpudock.engine.configure.wish import Wish, ours
from gpudock.errors import InputError

RUNTIMES, DEFAULT, FEATURES, CDI = "runtimes", "default-runtime", "features", "cdi"
STOCK = "runc"


class Document(NamedTuple):
    text: str
    value: dict[str, Any]
    where: str

    @property
    def runtimes(self) -> dict[str, Any]:
        return self.value.get(RUNTIMES) or {}

    @property
    def features(self) -> dict[str, Any]:
        return self.value.get(FEATURES) or {}

    @property
    def default(self) -> str | None:
        return self.value.get(DEFAULT)

    @property
    def our_names(self) -> tuple[str, ...]:
        """The names under which our runtime is configured."""
        return tuple(name for name, entry in self.runtimes.items() if ours(_path(entry)))

    def put(self, *path: str, value: object) -> "Document":
        return _checked(json_text.put(self.text, path, value), self.where)

    def drop(self, *path: str) -> "Document":
        return _checked(json_text.drop(self.text, path), self.where)


def read(data: bytes | None, where: str) -> Document:
    """A missing file is an empty one. Raises InputError."""
    return _checked(json_text.text_of(data or b"", where), where)


def _checked(text: str, where: str) -> Document:
    value = json_text.parse(text, where)
    for key, kind in ((RUNTIMES, dict), (FEATURES, dict), (DEFAULT, str)):
        if not isinstance(value.get(key), kind | None):
            shape = "a text" if kind is str else "an object: { ... }"
            raise InputError(f"{where}: {key} must be {shape}.", mend="mend it; nothing was changed")
    return Document(text, value, where)


def _path(entry: object) -> object:
    return entry.get("path") if isinstance(entry, dict) else None


def configured(now: Document, wish: Wish, before: Document | None) -> Document:
    """`before`: as it was when gpudock first changed it, when that is known."""
    if now.runtimes.get(wish.name) != {"path": wish.program}:
        # Another program's arguments and options mean nothing to ours: the whole entry is replaced.
        now = now.put(RUNTIMES, wish.name, value={"path": wish.program})
    if wish.default and now.default != wish.name:
        now = now.put(DEFAULT, value=wish.name)
    if wish.default is False and now.default in now.our_names:
        # Without the key, a docker that is told to read the file again would keep ours.
        now = now.put(DEFAULT, value=_default_before(now, before) or STOCK)
    if wish.cdi and now.features.get(CDI) is not True:
        now = now.put(FEATURES, CDI, value=True)
    return now


def safe(document: Document, running_default: str, *, shims: bool = False) -> Document:
    """The same for a running docker, which it does not crash on when the file lacks the default that it has now.

    `shims`: this docker takes the name of a shim as a runtime, without an entry for it.
    """
    default = document.default or STOCK
    known = {running_default, STOCK, *document.runtimes}
    if default not in known and _is_shim(default) and not (shims and "/" not in default):
        return document.put(DEFAULT, value=STOCK)
    if document.default or RUNTIMES not in document.value or running_default in {"", STOCK, *document.runtimes}:
        return document
    return document.put(DEFAULT, value=STOCK)


class Undo(NamedTuple):
    """`live`: the states to bring a running docker to, one after the other; `final`: what then stays in the file."""

    live: tuple[Document, ...]
    final: Document

    def gone(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name not in self.final.runtimes)


def undone(now: Document, before: Document | None, running_default: str = "") -> Undo:
    """A docker 20.10 that reads a file without its own default runtime crashes: another is made the default first."""
    live: list[Document] = []
    explicit = now
    if {now.default, running_default} & set(now.our_names):
        explicit = now.put(DEFAULT, value=_default_before(now, before) or STOCK)
        live.append(explicit)
    for name in now.our_names:
        theirs = before.runtimes.get(name) if before else None
        if theirs is not None and not ours(_path(theirs)):
            explicit = explicit.put(RUNTIMES, name, value=theirs)
        else:
            explicit = explicit.drop(RUNTIMES, name)
    if now.our_names:
        live.append(explicit)  # perhaps with empty runtimes: without the key, docker would keep those that it has
    return Undo(tuple(live), _tidied(explicit, now, before))


def _tidied(found: Document, now: Document, before: Document | None) -> Document:
    """Without what only gpudock needed, and in the very words of `before` when nothing else has changed."""
    if not found.runtimes and not (before and RUNTIMES in before.value):
        found = found.drop(RUNTIMES)
    if now.default is None or (now.default in now.our_names and _default_before(now, before) is None):
        found = found.drop(DEFAULT)
    if before and found.features.get(CDI) is True and before.features.get(CDI) is not True:
        old = before.features.get(CDI)
        found = found.drop(FEATURES, CDI) if old is None else found.put(FEATURES, CDI, value=old)
        if not found.features and FEATURES not in before.value:
            found = found.drop(FEATURES)
    return before if before and json_text.same(found.value, before.value) else found


def _default_before(now: Document, before: Document | None) -> str | None:
    """The default runtime of the time before gpudock, when it can be gone back to."""
    default = before.default if before else None
    if default is None or before is None or ours(_path(before.runtimes.get(default))):
        return None
    known = {STOCK, *before.runtimes, *now.runtimes}
    return default if default in known or _is_shim(default) else None


def _is_shim(name: str) -> bool:
    """Whether containerd would find it by this name alone, without an entry in `runtimes`."""
    return name.startswith("io.containerd.") or "/" in name
