"""Takes a start plan apart before anything believes it: every part must be there and of the right type."""

from gpudock.errors import InputError
from gpudock.plan.document import FORMAT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gpudock.plan.document import Plan

_NODE = {"path": str, "host": str, "major": int, "minor": int, "mode": int, "uid": int, "gid": int}
_MOUNT = {"host": str, "container": str, "options": [str]}
_VARIANT = {
    "capabilities": [str],
    "folder": str,
    "drm": bool,
    "nodes": [_NODE],
    "mounts": [_MOUNT],
    "libraries": [{"flags": int, "soname": str, "path": str}],
    "links": [{"path": str, "target": str}],
}
_INSTANCE = {"index": int, "gi": int, "ci": int, "uuid": str, "profile": str, "nodes": [_NODE], "drm": [_NODE]}
_GPU = {
    "index": int,
    "uuid": str,
    "bus_id": str,
    "minor": int,
    "name": str,
    "brand": str,
    "arch": str,
    "mig": bool,
    "nodes": [_NODE],
    "drm": [_NODE],
    "instances": [_INSTANCE],
}
_KEY = {
    "proc": str,
    "sys": str,
    "boot_id": str,
    "module": str,
    "majors": {"*": int},
    "gpus": {"*": [str]},
    "mig_minors": {"*": int},
    "files": [{"host": str, "size": int, "mtime_ns": int}],
}
_PLAN: "dict[str, Any]" = {
    "format": int,
    "driver": str,
    "cuda": str,
    "simulated": bool,
    "wsl": bool,
    "driver_root": str,
    "dev_root": str,
    "key": _KEY,
    "gpus": [_GPU],
    "variants": {"*": _VARIANT},
    "extras": {"*": {"nodes": {"*": [_NODE]}, "mounts": [_MOUNT]}},
    "library_links": bool,
}


class PlanError(InputError):
    """The plan file is broken or of another version."""

    def __init__(self, why: str) -> None:
        super().__init__("The start plan cannot be used.", why=why, mend="sudo gpudock refresh")


def check(value: "Any") -> "Plan":  # noqa: ANN401  it is what a JSON reader returned
    """The plan itself, after every part of it was found to have the right shape. Raises PlanError."""
    version = value.get("format") if isinstance(value, dict) else FORMAT
    if version != FORMAT:
        raise PlanError("its format is {!r:.40}, this gpudock reads {}".format(version, FORMAT))
    _check(value, _PLAN, "plan")
    return value  # type: ignore[no-any-return]


def _check(value: "Any", shape: "Any", where: str) -> None:  # noqa: ANN401
    if isinstance(shape, type):
        if type(value) is not shape:  # isinstance would let a bool pass for an int
            raise PlanError(f"{where} should be of type {shape.__name__}")
        if isinstance(value, str) and "\0" in value:
            raise PlanError(f"{where} holds a NUL character")
    elif isinstance(shape, list):
        if type(value) is not list:
            raise PlanError(f"{where} should be a list")
        if not _are_flat(value, shape[0]):
            for index, item in enumerate(value):
                _check(item, shape[0], f"{where}[{index}]")
    else:
        _check_object(value, shape, where)


def _check_object(value: "Any", shape: "dict[str, Any]", where: str) -> None:  # noqa: ANN401
    if type(value) is not dict:
        raise PlanError(f"{where} should be an object")
    if "*" in shape:
        for name, item in value.items():
            _check(item, shape["*"], f"{where}.{name:.80}")
        return
    if value.keys() != shape.keys():
        odd = sorted(value.keys() ^ shape.keys())
        raise PlanError(f"{where}: missing or unknown field {odd[0]:.80}")
    for name, part in shape.items():
        _check(value[name], part, f"{where}.{name}")


def _are_flat(values: "list[Any]", shape: "Any") -> bool:  # noqa: ANN401
    """Whether all are objects without parts of their own, as most of a plan is, and right: seen in one look."""
    if type(shape) is not dict or {*map(type, values)} != {dict} or {*map(len, values)} != {len(shape)}:
        return False
    for name, kind in shape.items():
        column = [value.get(name) for value in values]
        if [*{*map(type, column)}] != [kind] or (kind is str and "\0" in "".join(column)):
            return False
    return True
