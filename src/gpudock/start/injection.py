"""What a request changes in a container's config.json: the same devices, mounts and variables that an engine makes of

our CDI specification. Whatever is there already under the same path or name is replaced, never doubled.
"""

from gpudock.errors import RefusedError
from gpudock.plan import edits
from gpudock.start.asked import nvidia_hook
from gpudock.start.command import FLAGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from gpudock.plan.document import Extra, Mount, Node, Plan, Variant
    from gpudock.plan.select import Selected
    from gpudock.start.asked import Asked
    from gpudock.start.changes import Changes

    Json = Any

_DEVICE_OPTIONS = ["bind", "nosuid", "noexec", "rprivate"]


class Given:
    """What a container gets: `nodes` each path once, `mounts` with the driver tree first."""

    __slots__ = ("mounts", "nodes")

    def __init__(self, nodes: "list[Node]", mounts: "list[Mount]") -> None:
        self.nodes = nodes
        self.mounts = mounts


def given(plan: "Plan", variant: "Variant", selected: "Iterable[Selected]", asked: "Asked") -> Given:
    """Raises RefusedError for what the plan has not."""
    nodes = [*variant["nodes"]]
    for each in selected:
        nodes += edits.nodes(each.gpu if each.instance is None else each.instance, variant)
    mounts = [*variant["mounts"]]
    for name, device, source in asked.beside:
        extra = plan["extras"].get(name)
        nodes += _of_extra(name, device, source, extra)
        mounts += extra["mounts"] if extra else []
    return Given(edits.merged(nodes), mounts)


def _of_extra(name: str, device: str, source: str, extra: "Extra | None") -> "list[Node]":
    found = extra["nodes"].get(device) if extra else None
    if found is None:
        here = ", ".join(extra["nodes"]) if extra else "nothing of that kind"
        raise RefusedError(
            f"{source} asks for what this machine does not have.",
            why=f"for {name} it has {here}",
            mend="leave it out; if the device exists: sudo gpudock refresh",
        )
    return found


def inject(changes: "Changes", what: Given, *, rootless: bool = False) -> None:
    """Make the config.json bring `what` to the container. `rootless`: this process is in a user namespace itself."""
    strip_nvidia_hook(changes)
    for text in edits.ENVIRONMENT:
        _set_variable(changes, text)
    remapped = rootless or has_user_namespace(changes.config)
    owner = _user(changes.config)
    for node in what.nodes:
        if remapped and node["host"] != node["path"]:  # runtimes bind the host's node of the same path there
            _mount(changes, {"host": node["host"], "container": node["path"], "options": _DEVICE_OPTIONS})
        else:
            _place(changes, "devices", "path", _device(node, owner))
        rule = {"allow": True, "type": "c", "major": node["major"], "minor": node["minor"], "access": "rw"}
        if rule not in changes.items("rules"):
            changes.add("rules", rule)
    for mount in what.mounts:
        _mount(changes, mount)
    if not remapped:  # another namespace counts its groups anew
        for gid in edits.groups(what.nodes):
            if gid not in changes.items("gids"):
                changes.add("gids", gid)


def add_hook(changes: "Changes", python: str, script: str) -> None:
    """The one hook that this runtime adds, and only where the administrator wants it: see device_files."""
    from gpudock.start import device_files  # noqa: PLC0415  few administrators want it

    hook = {
        "path": python,
        "args": [python.rpartition("/")[2], *FLAGS, script, device_files.FLAG],
        "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"],
        "timeout": 30,
    }
    if hook not in changes.items("create"):
        changes.add("create", hook)


def strip_nvidia_hook(changes: "Changes") -> None:
    """This runtime does its work."""
    hooks = changes.items("prestart")
    for index in range(len(hooks) - 1, -1, -1):
        if nvidia_hook(hooks[index]):
            changes.remove("prestart", index)


def has_user_namespace(config: "dict[str, Json]") -> bool:
    linux = config.get("linux") or {}
    return any(isinstance(each, dict) and each.get("type") == "user" for each in linux.get("namespaces") or ())


def container_root(config: "dict[str, Json]") -> "tuple[int, int]":
    """User and group id, as this process counts, of what is 0 in the container."""
    linux = config.get("linux") or {}
    return _mapped(linux.get("uidMappings")), _mapped(linux.get("gidMappings"))


def _mapped(mappings: "Json") -> int:
    for each in mappings if isinstance(mappings, list) else ():
        if isinstance(each, dict) and each.get("containerID") == 0 and isinstance(each.get("hostID"), int):
            return each["hostID"]  # type: ignore[no-any-return]
    return 0


def _user(config: "dict[str, Json]") -> int:
    """CDI gives nodes without an owner of their own to the container's user."""
    uid = ((config.get("process") or {}).get("user") or {}).get("uid")
    return uid if isinstance(uid, int) else 0


def _device(node: "Node", owner: int) -> "Json":
    made = {
        "path": node["path"],
        "type": "c",
        "major": node["major"],
        "minor": node["minor"],
        "fileMode": node["mode"],
    }
    uid = node["uid"] or owner
    if uid:
        made["uid"] = uid
    if node["gid"]:
        made["gid"] = node["gid"]
    return made


def _set_variable(changes: "Changes", text: str) -> None:
    """In the place of the first of that name; later ones go."""
    name = text.partition("=")[0] + "="
    places = [index for index, entry in enumerate(changes.items("env")) if str(entry).startswith(name)]
    for index in places[:0:-1]:
        changes.remove("env", index)
    if places:
        changes.replace("env", places[0], text)
    else:
        changes.add("env", text)


def _mount(changes: "Changes", mount: "Mount") -> None:
    """Before whatever is mounted inside of it, else at the end."""
    made = {
        "destination": mount["container"],
        "type": "bind",
        "source": mount["host"],
        "options": list(mount["options"]),
    }
    inside = mount["container"] + "/"
    below = [
        index
        for index, each in enumerate(changes.items("mounts"))
        if isinstance(each, dict) and str(each.get("destination")).startswith(inside)
    ]
    _place(changes, "mounts", "destination", made, before=below[0] if below else None)


def _place(changes: "Changes", section: str, name: str, item: "Json", before: "int | None" = None) -> None:
    items = changes.items(section)
    for index, each in enumerate(items):
        if isinstance(each, dict) and each.get(name) == item[name]:
            changes.replace(section, index, item)
            return
    changes.add(section, item, before)
