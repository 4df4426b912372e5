"""CDI specifications that are there, whoever wrote them."""

import itertools
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from gpudock.facts.base import Missing
from gpudock.facts.engine import CdiSpecFile
from gpudock.host.plain import one_line
from gpudock.host.root import Root

FOLDERS = ("/etc/cdi", "/var/run/cdi")
LIMIT = 4 << 20  # bytes: the largest real ones have some hundred KiB
DEVICES = 4096
DEPTH = 64

_PLAN = re.compile(r"(?:^|/)([0-9a-f]{16,64})(?:\.json)?$")


class _Hook(msgspec.Struct):
    args: list[str] = []


class _Edits(msgspec.Struct):
    hooks: list[_Hook] = []


class _Device(msgspec.Struct):
    name: str


class _Spec(msgspec.Struct):
    version: str = msgspec.field(name="cdiVersion")
    kind: str
    devices: list[_Device]
    edits: _Edits = msgspec.field(default_factory=_Edits, name="containerEdits")


def read(machine: Root, folders: Iterable[str] = FOLDERS) -> tuple[CdiSpecFile, ...]:
    """The *.json and *.yaml files of `folders`, one entry each. A broken file has a Missing kind."""
    names = ((folder, name) for folder in dict.fromkeys(folders) for name in machine.names(folder))
    return tuple(_file(machine, f"{folder}/{name}") for folder, name in names if name.endswith((".json", ".yaml")))


def _file(machine: Root, path: str) -> CdiSpecFile:
    shown = one_line(path)
    try:
        spec = _parse(machine.read(path, LIMIT + 1))
    except OSError as error:
        return CdiSpecFile(path=shown, kind=Missing(f"it cannot be read: {error.strerror}"))
    except (ValueError, msgspec.DecodeError, RecursionError) as error:
        return CdiSpecFile(path=shown, kind=Missing(one_line(str(error))))
    return CdiSpecFile(
        path=shown,
        kind=one_line(spec.kind),
        version=one_line(spec.version),
        devices=tuple(one_line(device.name) for device in spec.devices[:DEVICES]),
        plan=_plan(spec),
    )


def document(data: bytes) -> Any:  # noqa: ANN401  whatever the file holds
    """The content as plain values. Raises ValueError (msgspec's errors are such too)."""
    try:
        return msgspec.to_builtins(_read(data, Any))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _parse(data: bytes) -> _Spec:
    spec: _Spec = _read(data, _Spec)
    return spec


def _read(data: bytes, kind: Any) -> Any:  # noqa: ANN401  of `kind`
    if len(data) > LIMIT:
        raise ValueError(f"it is larger than {LIMIT >> 20} MiB")
    if data.lstrip()[:1] == b"{":  # JSON, or YAML that is written so
        try:
            return msgspec.json.decode(data, type=kind)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            pass
    return msgspec.convert(_yaml(data), kind)


def _yaml(data: bytes) -> Any:  # noqa: ANN401  whatever the file holds
    import yaml  # noqa: PLC0415  its import takes longer than everything else here

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        depth = 0
        for event in yaml.parse(data, Loader=loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):  # a few lines of them can stand for more than any memory holds
                raise ValueError("it uses aliases")  # noqa: TRY004  no wrong argument
            if depth > DEPTH:  # the C loader would overflow the stack and take the process with it
                raise ValueError("it is nested too deeply")
        return yaml.load(data, Loader=loader)  # noqa: S506  both are safe loaders
    except (yaml.YAMLError, LookupError, AttributeError) as error:  # the last two: !!int "", !!bool x, !!timestamp x
        raise ValueError(str(error) or type(error).__name__) from error


def _plan(spec: _Spec) -> str | None:
    """The start plan that a specification of gpudock names: after --plan in its hook."""
    arguments = (pair for hook in spec.edits.hooks for pair in itertools.pairwise(hook.args))
    named = (value for option, value in arguments if option == "--plan")
    return next((match[1] for text in named if (match := _PLAN.search(text))), None)
