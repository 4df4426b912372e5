"""Drop-in files that are gpudock's alone: written whole, removed whole."""

import tomlkit

from gpudock.engine.configure import change, toml_text
from gpudock.engine.configure.wish import ours
from gpudock.errors import RefusedError
from gpudock.host.root import Root

HEAD = "Made by `gpudock configure`, and removed by its --undo. Other settings belong into other files."


def text(values: dict[str, object]) -> bytes:
    """The file with these tables, under a line that says whose it is."""
    document = tomlkit.document()
    document.add(tomlkit.comment(HEAD))
    for key, value in values.items():
        document.add(key, toml_text.table(value) if isinstance(value, dict) else value)
    return tomlkit.dumps(document).encode()


def read(machine: Root, path: str) -> change.ConfigFile:
    """Raises RefusedError for a file of this name that is somebody else's."""
    file = change.read(machine, path)
    if file.data is not None and HEAD.encode() not in file.data:
        raise RefusedError(
            f"{path} is not gpudock's.",
            why="its first line does not say so",
            mend="give that file another name, then try again",
        )
    return file


def names(file: change.ConfigFile, runtimes: tuple[str, ...], *keys: str) -> tuple[str, ...]:
    """The names under which the file has our runtime. `runtimes`: the table of them; `keys`: where the path stands."""
    if file.data is None:
        return ()
    found = toml_text.get(toml_text.plain(toml_text.parse(file.data, file.path)), runtimes)
    entries = found if isinstance(found, dict) else {}
    return tuple(name for name, entry in entries.items() if ours(_at(entry, keys)))


def _at(entry: object, keys: tuple[str, ...]) -> object:
    for key in keys:
        entry = entry.get(key) if isinstance(entry, dict) else None
    return entry[0] if isinstance(entry, list) and entry else entry
