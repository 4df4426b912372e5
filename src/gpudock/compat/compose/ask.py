"""Which GPUs a service asks for, in whichever of the many ways there are."""

import re
from typing import Any, NamedTuple

from gpudock.compat.compose.service import OWN, View
from gpudock.errors import GpudockError, InputError, UsageError
from gpudock.plan import capabilities
from gpudock.plan.environment import CAPABILITIES
from gpudock.plan.quote import quote
from gpudock.plan.request import ALL, NONE, VISIBLE_DEVICES, VOID, Request, parse_gpus, parse_visible_devices

RUNTIMES = ("nvidia", "gpudock")
_DEV = r"(?:/[^:]*)?/dev/nvidia"  # also where a driver's nodes are not the machine's own
NODE = re.compile(_DEV + r"(\d+)$")
CONTROL = re.compile(_DEV + r"(ctl|-uvm|-uvm-tools|-modeset)$")
VOLUME = re.compile(r"nvidia_driver_[0-9.]+$")
VOLUME_DRIVER = "nvidia-docker"
_OWN_KEYS = ("gpus", "count", "devices", "capabilities", "mig")
_CDI = "nvidia.com/gpu="


class Ask(NamedTuple):
    """`request` None: nothing is asked for. `how`: the key that asks, such as gpus; "" when none does."""

    request: Request | None
    how: str = ""
    place: str = ""
    mig: str = ""  # a MIG profile; the request's number counts such devices
    nodes: tuple[str, ...] = ()  # device nodes that name the GPUs


def ask(view: View, default: Request | None) -> Ask:
    """`default`: for services that say nothing. Raises GpudockError with file, line and service."""
    for how, read in _READERS:
        try:
            found = read(view)
        except GpudockError as error:
            raise located(error, view, how) from error
        if found is not None:
            return found._replace(how=found.how or how, place=view.at(_KEYS.get(how, how)))
    if default is None:
        return Ask(None)
    return Ask(default, "default", view.place)


def located(error: GpudockError, view: View, how: str) -> GpudockError:
    """The same error, saying where it comes from."""
    what = error.what.replace("--gpus", how or "it")
    place = view.at(_KEYS.get(how, how))
    kind: type[GpudockError] = next(each for each in type(error).__mro__ if each.__module__ == GpudockError.__module__)
    if kind is UsageError and how != "default":  # it stands in a file, not on the command line
        kind = InputError
    return kind(f"{place}: service {view.name}: {what}", why=error.why, mend=error.mend.replace("--gpus ", ""))


def _own(view: View) -> Ask | None:
    value = view.values.get(OWN)
    if value is None:
        return None
    if value is False:
        return Ask(None)
    if not isinstance(value, dict):
        return Ask(_any(value))
    _check_own(value)
    wanted = _names(value.get("capabilities"))
    mig = value.get("mig")
    if "gpus" in value:
        request = _any(value["gpus"])
    elif "devices" in value:
        request = parse_visible_devices(",".join(map(str, _list(value["devices"]))), OWN)
    else:
        request = _counted(value.get("count", 1 if mig else ALL))
    if wanted is not None:
        request = Request(request.devices, wanted, OWN)
    if mig is not None and (isinstance(request.devices, tuple) or not isinstance(mig, str)):
        raise InputError(f"mig in {OWN} is a profile such as 1g.18gb, with count: beside it.")
    if request.devices in {NONE, VOID}:
        return Ask(None)
    return Ask(request, mig=mig or "")


def _check_own(value: dict[Any, Any]) -> None:
    unknown = [str(key) for key in value if key not in _OWN_KEYS]
    if unknown:
        raise InputError(f"{OWN} does not know {quote(unknown[0])}.", mend="it knows " + ", ".join(_OWN_KEYS))
    given = [key for key in ("gpus", "count", "devices") if key in value]
    if len(given) > 1:
        raise InputError(f"{OWN} says {given[0]} and {given[1]}.", mend="leave one of them out")


def _enable_cuda(view: View) -> Ask | None:
    value = view.values.get("enable_cuda")
    return Ask(None) if value in {False, "false", "no", "off"} else None


def _gpus(view: View) -> Ask | None:
    value = view.values.get("gpus")
    if value is None:
        return None
    request = _any(value)
    return Ask(None if request.devices in {NONE, VOID} else request)


def _deploy(view: View) -> Ask | None:
    entries = [entry for entry in view.values.get("deploy", []) if is_gpu(entry)]
    return Ask(_united(entries)) if entries else None


def _devices(view: View) -> Ask | None:
    names = [name for entry in view.values.get("devices", []) if (name := source(entry)).startswith(_CDI)]
    if not names:
        return None
    bare = [name.removeprefix(_CDI) for name in names]
    if not all(bare):
        raise InputError(f"{_CDI} names no device.", mend=f"write {_CDI}all, or {_CDI}0")
    wanted = {suffix for name in bare if (suffix := name.partition(".")[2]) and not suffix[:1].isdigit()}
    ids = [name.partition(".")[0] if wanted else name for name in bare]
    request = parse_visible_devices(",".join(ids), "devices")
    chosen = capabilities.canonical(wanted.pop().split(".")) if len(wanted) == 1 else None
    return Ask(Request(request.devices, chosen, "devices"))


def _nodes(view: View) -> Ask | None:
    """As people wrote it for nvidia-docker 1."""
    paths = [source(entry) for entry in view.values.get("devices", [])]
    nodes = tuple(dict.fromkeys(path for path in paths if NODE.match(path)))
    if nodes:
        return Ask(Request(tuple(NODE.sub(r"\1", node) for node in nodes), None, "devices"), nodes=nodes)
    if any(is_driver_volume(entry) for entry in view.values.get("volumes", [])):
        return Ask(Request(ALL, None, "volumes"), "volumes")
    return None


def _runtime(view: View) -> Ask | None:
    if view.values.get("runtime") not in RUNTIMES:
        return None
    text = view.environment.get(VISIBLE_DEVICES, ALL)
    request = parse_visible_devices(text)
    wanted = view.environment.get(CAPABILITIES)
    if request.devices in {NONE, VOID}:
        return Ask(None)
    return Ask(Request(request.devices, capabilities.parse(wanted) if wanted else None, VISIBLE_DEVICES))


def _cuda_enabled(view: View) -> Ask | None:
    return (
        Ask(Request(ALL, None, "enable_cuda"))
        if view.values.get("enable_cuda") in {True, "true", "yes", "on"}
        else None
    )


_KEYS = {"nodes": "devices", "opt-out": "enable_cuda"}  # where a way to ask is written, when not under its own name
_READERS = (
    (OWN, _own),
    ("opt-out", _enable_cuda),
    ("gpus", _gpus),
    ("deploy", _deploy),
    ("devices", _devices),
    ("nodes", _nodes),
    ("runtime", _runtime),
    ("enable_cuda", _cuda_enabled),
)


def is_gpu(entry: object) -> bool:
    """Whether an entry of a device reservation is for NVIDIA GPUs."""
    if not isinstance(entry, dict):
        return False
    driver = entry.get("driver")
    if driver == "cdi":
        return all(str(name).startswith(_CDI) for name in _list(entry.get("device_ids")))
    names = {str(name) for name in _list(entry.get("capabilities"))}
    return driver == "nvidia" or (not driver and bool(names & {"gpu", "nvidia"}))


def source(device: object) -> str:
    """The host's side of an entry of `devices`."""
    if isinstance(device, dict):
        return str(device.get("source", ""))
    text = str(device)
    return text if text.startswith(_CDI) else text.partition(":")[0]


def is_driver_volume(entry: object) -> bool:
    name = entry.get("source", "") if isinstance(entry, dict) else str(entry).partition(":")[0]
    return bool(VOLUME.match(str(name)))


def _any(value: object) -> Request:
    """all, a number, docker's --gpus, or compose's list of what reservations hold."""
    if isinstance(value, (list, dict)):
        return _united(_list(value))
    if value is True or (isinstance(value, int) and value == -1):
        return parse_gpus(ALL)
    if value is False:
        return parse_gpus(NONE)
    return parse_gpus(str(value))


def _united(entries: list[Any]) -> Request:
    ids: list[str] = []
    count = 0
    everything = False
    wanted: list[str] = []
    for entry in entries:
        if not isinstance(entry, dict):
            raise InputError(f"{quote(str(entry))} is no device request.", mend="write count: or device_ids:")
        if entry.get("driver") not in {None, "", "nvidia", "cdi"}:
            raise InputError(f"the driver {quote(str(entry['driver']))} is not NVIDIA's.")
        if entry.get("device_ids"):
            if entry.get("count") is not None:
                raise InputError("it asks for a number of GPUs and for certain ones at once.")
            ids += [str(name) for name in _list(entry["device_ids"])]
        else:
            number = _counted(entry.get("count", ALL)).devices
            everything = everything or number == ALL
            count += number if isinstance(number, int) else 0
        wanted += _names(entry.get("capabilities")) or ()
    chosen = capabilities.canonical(wanted) if wanted else None
    if ids and count:
        raise InputError("it asks for a number of GPUs and for certain ones at once.")
    if everything:
        return Request(ALL, chosen)
    if ids:
        return Request(parse_visible_devices(",".join(ids), "device_ids").devices, chosen)
    return Request(count or NONE, chosen)


def _counted(value: object) -> Request:
    text = str(value)
    if isinstance(value, bool) or not (text in {ALL, "-1"} or text.isdecimal()):
        raise UsageError(f"count {quote(text)} is no number of GPUs.", mend="write a number, or all")
    return parse_gpus(text)


def _names(value: object) -> tuple[str, ...] | None:
    """Capabilities of the driver; docker's own words for a GPU say nothing of them."""
    names = [str(each) for entry in _list(value) for each in _list(entry)]
    wanted = [part for name in names for part in name.replace(",", " ").split() if part not in {"gpu", "nvidia"}]
    return capabilities.canonical(wanted) if wanted else None


def _list(value: object) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
