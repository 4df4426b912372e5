"""containerd's config.toml in its three versions: text in, text out. Pure.

containerd 2 merges what `imports` names, key by key. containerd 1 replaces: an imported file that has any setting of
the CRI plugin makes it forget all others of that plugin, and a file that names one runtime makes it forget its own
runc. So containerd 2 gets a file of our own, and containerd 1 is edited in place.
"""

import fnmatch
import os
from typing import Any, NamedTuple

from gpudock.engine.configure import drop_in, toml_text
from gpudock.engine.configure.toml_text import Path
from gpudock.engine.configure.wish import Wish, ours
from gpudock.errors import RefusedError

PLUGINS: dict[int, Path] = {
    1: ("plugins", "cri"),
    2: ("plugins", "io.containerd.grpc.v1.cri"),
    3: ("plugins", "io.containerd.cri.v1.runtime"),
}
TYPE = "io.containerd.runc.v2"
CDI = "enable_cdi"
STOCK = "runc"
_EMPTY: tuple[object, ...] = ("", 0, False, [], {}, None)  # as `config dump` prints what nobody has set


class Document(NamedTuple):
    data: bytes | None
    value: dict[str, Any]
    where: str
    major: int  # of containerd itself; 0 when not known

    @property
    def version(self) -> int:
        """Of the file's format. A file without one has the oldest, a missing file gets the newest that is read."""
        if not self.value:
            return 3 if self.major >= 2 else 2
        found = self.value.get("version", 1)
        return found if isinstance(found, int) and found in PLUGINS else 0

    @property
    def merges(self) -> bool:
        return self.major >= 2

    @property
    def plugin(self) -> Path:
        return PLUGINS[self.version]

    @property
    def part(self) -> Path:
        return (*self.plugin, "containerd")

    @property
    def runtimes(self) -> dict[str, Any]:
        found = toml_text.get(self.value, (*self.part, "runtimes"))
        return found if isinstance(found, dict) else {}

    @property
    def our_names(self) -> tuple[str, ...]:
        return tuple(
            name for name, entry in self.runtimes.items() if ours(toml_text.get(entry, ("options", "BinaryName")))
        )


def read(data: bytes | None, where: str, major: int) -> Document:
    """Raises InputError, and RefusedError where a runtime would not be used."""
    found = Document(data, toml_text.plain(toml_text.parse(data, where)), where, major)
    if found.version == 0 or (found.version == 1 and major >= 2) or (found.version == 3 and major == 1):
        raise RefusedError(
            f"{where} is of version {found.value.get('version', 1)}, which containerd {major or '?'} does not use.",
            why="a file without the line `version = ...` is of version 1",
            mend="containerd config migrate prints it in the present version",
        )
    disabled = found.value.get("disabled_plugins")
    off = [each for each in disabled if each in {name for _, name in PLUGINS.values()}] if disabled else []
    if off:
        raise RefusedError(
            f"{where} switches off the part of containerd that has runtimes: disabled_plugins names {off[0]}.",
            why="docker and nerdctl do not need it; Kubernetes does",
            mend="for docker: gpudock configure docker; for Kubernetes take it out of disabled_plugins first",
        )
    return found


def configured(now: Document, wish: Wish, effective: dict[str, Any]) -> bytes:
    """The file, edited. `effective`: what `containerd config dump` says, {} when it says nothing."""
    puts: dict[Path, object] = {} if now.value else {("version",): now.version}
    puts |= _settings(now, wish, effective)
    default = _default(now, effective)
    if now.major < 2 and not now.runtimes and default != wish.name:
        puts = {(*now.part, "runtimes", default): {"runtime_type": TYPE}, **puts}
    return toml_text.edited(now.data, now.where, puts)


def _settings(now: Document, wish: Wish, effective: dict[str, Any]) -> dict[Path, object]:
    puts: dict[Path, object] = {(*now.part, "runtimes", wish.name): _entry(now, wish, effective)}
    if wish.default:
        puts[*now.part, "default_runtime_name"] = wish.name
    if wish.default is False and _default(now, effective) in {*now.our_names, wish.name}:
        puts[*now.part, "default_runtime_name"] = STOCK
    known = _plugin(effective)
    undecided = CDI in known and known[CDI] is not True and toml_text.get(now.value, (*now.plugin, CDI)) is None
    if wish.cdi or (wish.cdi is None and undecided):
        puts[*now.plugin, CDI] = True
    return puts


def drop_in_file(now: Document, wish: Wish, effective: dict[str, Any], mine: dict[str, Any]) -> bytes:
    """A file of our own, to be imported. `mine`: as it is now."""
    tree: dict[str, Any] = {"version": now.version}
    default = _at(mine, now.part).get("default_runtime_name")
    puts: dict[Path, object] = {}
    if default and wish.default is None:
        puts[*now.part, "default_runtime_name"] = default
    puts |= {(*now.part, "runtimes", name): entry for name, entry in _at(mine, (*now.part, "runtimes")).items()}
    puts |= _settings(now, wish, effective)
    if wish.default is False:
        puts.pop((*now.part, "default_runtime_name"), None)
    if _at(mine, now.plugin).get(CDI) is True:
        puts[*now.plugin, CDI] = True
    for path, value in puts.items():
        here = tree
        for key in path[:-1]:
            here = here.setdefault(key, {})
        here[path[-1]] = value
    return drop_in.text(tree)


def imported(now: Document, path: str) -> bytes:
    """The file, made to import `path`."""
    imports = now.value.get("imports")
    listed = imports if isinstance(imports, list) else []
    folder = os.path.dirname(now.where)
    patterns = [os.path.join(folder, each) for each in listed if isinstance(each, str)]
    puts: dict[Path, object] = {} if now.value else {("version",): now.version}
    if not any(fnmatch.fnmatch(path, pattern) for pattern in patterns):
        puts["imports",] = [*listed, path]
    return toml_text.edited(now.data, now.where, puts) if puts else now.data or b""


def undone(now: Document, before: Document | None, path: str) -> bytes:
    """Without our runtimes, and without the import of `path`; byte by byte as before where nothing else changed."""
    names = now.our_names
    drops: list[Path] = [(*now.part, "runtimes", name) for name in names]
    puts: dict[Path, object] = {}
    default = toml_text.get(now.value, (*now.part, "default_runtime_name"))
    old = toml_text.get(before.value, (*now.part, "default_runtime_name")) if before else None
    if default in names and old and old not in names:
        puts[*now.part, "default_runtime_name"] = old
    elif default in names:
        drops.append((*now.part, "default_runtime_name"))
    for name in names:
        theirs = before.runtimes.get(name) if before else None
        puts |= {(*now.part, "runtimes", name): theirs} if theirs and before and name not in before.our_names else {}
    if before and not before.runtimes and set(now.runtimes) - set(names) == {STOCK}:
        drops.append((*now.part, "runtimes", STOCK))
    if before and names and toml_text.get(before.value, (*now.plugin, CDI)) is None:
        drops.append((*now.plugin, CDI))
    imports = now.value.get("imports")
    if isinstance(imports, list) and path in imports:
        rest = [each for each in imports if each != path]
        if rest or (before and "imports" in before.value):
            puts["imports",] = rest
        else:
            drops.append(("imports",))
    after = toml_text.edited(now.data, now.where, puts, drops)
    left = toml_text.plain(toml_text.parse(after, now.where))
    made_here = before is not None and not before.value and left.keys() <= {"version"}
    return before.data or b"" if before and (made_here or left == before.value) else after


def _plugin(effective: dict[str, Any]) -> dict[str, Any]:
    return next((found for path in reversed(PLUGINS.values()) if (found := _at(effective, path))), {})


def _at(value: object, path: Path) -> dict[str, Any]:
    found = toml_text.get(value, path)
    return found if isinstance(found, dict) else {}


def _default(now: Document, effective: dict[str, Any]) -> str:
    """The name of the runtime that is the default without us having said so."""
    for source in (_at(now.value, now.part), _at(_plugin(effective), ("containerd",))):
        name = source.get("default_runtime_name")
        if isinstance(name, str) and name:
            return name
    return STOCK


def _entry(now: Document, wish: Wish, effective: dict[str, Any]) -> dict[str, Any]:
    """Ours, with the settings of the runtime that it stands for: the cgroup driver, annotations."""
    known = {**_at(_plugin(effective), ("containerd", "runtimes")), **now.runtimes}
    names = (wish.name, _default(now, effective), STOCK, "crun")
    theirs = next((entry for name in names if isinstance(entry := known.get(name), dict)), {})
    found = {key: value for key, value in theirs.items() if value not in _EMPTY and key != "runtime_engine"}
    options = {key: value for key, value in _at(found, ("options",)).items() if value not in _EMPTY}
    if not str(found.get("runtime_type", "")).startswith("io.containerd.runc."):
        found["runtime_type"] = TYPE
    return {**found, "options": {**options, "BinaryName": wish.program}}


def wrong(before: dict[str, Any], after: dict[str, Any], wish: Wish) -> str:
    """Why what containerd now makes of its files is not what was meant; "" when it is. Both from `config dump`."""
    runtimes = _at(_plugin(after), ("containerd", "runtimes"))
    if toml_text.get(runtimes, (wish.name, "options", "BinaryName")) != wish.program:
        return f"containerd config dump names no runtime {wish.name} with this program"
    lost = sorted(_at(_plugin(before), ("containerd", "runtimes")).keys() - runtimes.keys())
    if lost:
        return f"the runtime {lost[0]} would be lost"
    default = _at(_plugin(after), ("containerd",)).get("default_runtime_name")
    return f"the default runtime is {default}" if wish.default and default != wish.name else ""
