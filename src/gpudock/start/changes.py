"""Changes of an OCI config.json, written down one by one, so that they can be taken back exactly.

An engine that starts the same bundle again, perhaps after somebody edited it, must not pile up what we added before.
"""

from gpudock.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = Any
    Change = list[Json]  # section, index, new item or None, old item or None

SECTIONS = {
    "env": ("process", "env"),
    "gids": ("process", "user", "additionalGids"),
    "devices": ("linux", "devices"),
    "rules": ("linux", "resources", "devices"),
    "mounts": ("mounts",),
    "prestart": ("hooks", "prestart"),
    "create": ("hooks", "createContainer"),
}


class Changes:
    """A config.json that is being edited; `made` tells what was done, in order."""

    __slots__ = ("config", "made")

    def __init__(self, config: "dict[str, Json]") -> None:
        self.config = config
        self.made: "list[Change]" = []

    def items(self, section: str) -> "list[Json]":
        """What the section holds now."""
        return _items(self.config, section, make=False)

    def add(self, section: str, item: "Json", before: "int | None" = None) -> None:
        items = _items(self.config, section, make=True)
        index = len(items) if before is None else before
        items.insert(index, item)
        self.made.append([section, index, item, None])

    def replace(self, section: str, index: int, item: "Json") -> None:
        items = _items(self.config, section, make=True)
        if items[index] != item:
            self.made.append([section, index, item, items[index]])
            items[index] = item

    def remove(self, section: str, index: int) -> None:
        self.made.append([section, index, None, _items(self.config, section, make=True).pop(index)])
        _drop_if_empty(self.config, section)


def undo(config: "dict[str, Json]", made: "list[Change]") -> None:
    """Take changes back, as far as they are still there."""
    for section, index, new, old in reversed(made):
        items = _items(config, section, make=True)
        if new is None:
            items.insert(index, old)
        elif new in items:
            at = index if index < len(items) and items[index] == new else items.index(new)
            items[at : at + 1] = [] if old is None else [old]
        _drop_if_empty(config, section)


def _items(config: "dict[str, Json]", section: str, *, make: bool) -> "list[Json]":
    """The list itself, so that it can be changed; an empty one when there is none and none is to be made."""
    *folders, name = SECTIONS[section]
    here = config
    for folder in folders:
        if make and here.get(folder) is None:
            here[folder] = {}
        here = _of_type(here.get(folder) or ({} if not make else here[folder]), dict, folder)
    if here.get(name) is None and make:
        here[name] = []
    return _of_type(here.get(name) or ([] if not make else here[name]), list, name)  # type: ignore[no-any-return]


def _of_type(value: "Json", kind: type, name: str) -> "Json":
    if not isinstance(value, kind):
        raise InputError("The container's config.json is not usable.", why=f"{name} is no {kind.__name__}")
    return value


def _drop_if_empty(config: "dict[str, Json]", section: str) -> None:
    """Lists that we made for our items go with them, and so do the objects around them."""
    path = SECTIONS[section]
    for length in range(len(path), 0, -1):
        *folders, name = path[:length]
        here = config
        for folder in folders:
            here = here.get(folder) or {}
        if name in here and not here[name]:
            del here[name]
