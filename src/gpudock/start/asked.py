"""What a container asks for, by its config.json: annotations, then mounts, then variables, as with NVIDIA's runtime."""

from gpudock.errors import RefusedError
from gpudock.plan import capabilities, environment
from gpudock.plan.quote import quote
from gpudock.plan.request import VISIBLE_DEVICES, VOID, Request, parse_imex, parse_visible_devices
from gpudock.plan.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from gpudock.start.settings import Settings

    Json = Any

DEVICES = "gpudock.devices"  # annotations of our own
CAPABILITIES = "gpudock.capabilities"
FOLDER = "/var/run/nvidia-container-devices/"  # /dev/null mounted at FOLDER/NAME asks for NAME
NVIDIA_HOOKS = ("nvidia-container-runtime-hook", "nvidia-container-toolkit")
_CDI = "cdi.k8s.io/"
_CDI_HOOKS = ("nvidia-cdi-hook", "nvidia-ctk")
_GPU_KINDS = ("nvidia.com/gpu", "runtime.nvidia.com/gpu")
_IMEX_KIND = "nvidia.com/imex-channel"
_IMEX = "NVIDIA_IMEX_CHANNELS"
_SWITCHED = {  # variable -> what it brings when it says `enabled`
    "NVIDIA_GDS": "gds",
    "NVIDIA_MOFED": "mofed",
    "NVIDIA_GDRCOPY": "gdrcopy",
    "NVIDIA_NVSWITCH": "nvswitch",
}
_MIG = {"NVIDIA_MIG_CONFIG_DEVICES": "mig-config", "NVIDIA_MIG_MONITOR_DEVICES": "mig-monitor"}


class Asked(Value):
    """`beside`: pairs of an extra of the plan and one of its devices, with what asked for it."""

    __slots__ = ("beside", "notes", "request", "variables")
    beside: "tuple[tuple[str, str, str], ...]"
    notes: "tuple[str, ...]"
    request: Request
    variables: "dict[str, str]"

    def __init__(
        self,
        request: Request,
        variables: "dict[str, str]",
        beside: "Iterable[tuple[str, str, str]]" = (),
        notes: "Iterable[str]" = (),
    ) -> None:
        self._set(beside=tuple(dict.fromkeys(beside)), notes=tuple(notes), request=request, variables=variables)


def asked(config: "dict[str, Json]", settings: "Settings") -> Asked:
    """Raises UsageError for what cannot be understood, RefusedError for what this container may not ask."""
    variables = _variables(config)
    if _already_given(config, variables):
        return Asked(Request(VOID), variables)
    privileged = _is_privileged(config)
    accepted = settings.unprivileged or privileged
    # podman copies an image's annotations into the container, and nothing in config.json tells reliably who wrote it.
    names, source = _from_annotations(config) if accepted or settings.annotations else ([], "")
    if not names and settings.mounts:
        names, source = _from_mounts(config)
    if names:
        return _named(names, source, config, variables)
    # docker's --gpus adds NVIDIA's hook and sets this variable itself; all others may be the image's.
    by_flag = _by_flag(config)
    swarm = () if by_flag else settings.swarm
    request, notes = environment.from_environment(variables, swarm=swarm, accepted=accepted or by_flag)
    if request.devices == VOID or not accepted:
        return Asked(request, variables, (), notes)
    return Asked(request, variables, _beside(variables, privileged=privileged), notes)


def nvidia_hook(hook: "Json") -> bool:
    """Whether a hook of config.json is NVIDIA's own, which docker's --gpus adds."""
    path = hook.get("path") if isinstance(hook, dict) else None
    return isinstance(path, str) and path.rpartition("/")[2] in NVIDIA_HOOKS


def _variables(config: "dict[str, Json]") -> "dict[str, str]":
    """The last one counts where a variable is there twice."""
    entries = _object(config.get("process")).get("env") or ()
    pairs = (entry.partition("=") for entry in entries if isinstance(entry, str))
    return {name: value for name, equals, value in pairs if equals}


def _already_given(config: "dict[str, Json]", variables: "Mapping[str, str]") -> bool:
    """An engine that applied a CDI specification, ours or NVIDIA's, has given the devices and a hook that prepares."""
    if variables.get(VISIBLE_DEVICES) != VOID:
        return False
    hooks = _object(config.get("hooks")).get("createContainer") or ()
    return any(
        "--plan" in (hook.get("args") or ()) or str(hook.get("path")).rpartition("/")[2] in _CDI_HOOKS
        for hook in hooks
        if isinstance(hook, dict)
    )


def _by_flag(config: "dict[str, Json]") -> bool:
    """Whether docker's own --gpus added the hook. The hook files of old podman set-ups give others to everybody."""
    hooks = _object(config.get("hooks")).get("prestart") or ()
    given = [hook.get("args") for hook in hooks if nvidia_hook(hook)]
    return [NVIDIA_HOOKS[0], "prestart"] in given and "io.container.manager" not in _annotations(config)


def _is_privileged(config: "dict[str, Json]") -> bool:
    bounding = _object(_object(config.get("process")).get("capabilities")).get("bounding") or ()
    return "CAP_SYS_ADMIN" in bounding


def _annotations(config: "dict[str, Json]") -> "dict[str, str]":
    return {name: text for name, text in _object(config.get("annotations")).items() if isinstance(text, str)}


def _object(value: "Json") -> "dict[str, Json]":
    return value if isinstance(value, dict) else {}


def _from_annotations(config: "dict[str, Json]") -> "tuple[list[str], str]":
    found = _annotations(config)
    if found.get(DEVICES, "").strip():
        return found[DEVICES].split(","), "annotation " + DEVICES
    devices, sources = [], []
    for name, text in sorted(found.items()):  # each device plugin writes one
        # Devices of other kinds are the business of the engine, or of other runtimes.
        ours = [each.strip() for each in text.split(",") if _is_ours(each.strip())] if name.startswith(_CDI) else []
        if ours:
            devices += ours
            sources.append(quote(name))
    return devices, "annotation " + " and ".join(sources)


def _is_ours(device: str) -> bool:
    kind = device.partition("=")[0]
    return kind in _GPU_KINDS or kind == _IMEX_KIND or kind in _kinds_beside()


def _kinds_beside() -> "dict[str, str]":
    return {"nvidia.com/" + name: name for name in _SWITCHED.values()}


def _from_mounts(config: "dict[str, Json]") -> "tuple[list[str], str]":
    names = []
    for mount in config.get("mounts") or ():
        place = _object(mount).get("destination")
        if isinstance(place, str) and place.startswith(FOLDER) and mount.get("source") == "/dev/null":
            names.append(_mounted(place[len(FOLDER) :]))
    return names, "mounts below " + FOLDER[:-1]


def _mounted(rest: str) -> str:
    """cdi/VENDOR/CLASS/NAME or cdi/VENDOR/CLASS=NAME is a CDI device, imex/N a channel, all else a GPU's name."""
    parts = rest.split("/")
    if parts[0] == "cdi" and len(parts) == 4:
        return f"{parts[1]}/{parts[2]}={parts[3]}"
    if parts[0] == "cdi" and len(parts) == 3:
        return "/".join(parts[1:])
    if parts[0] == "imex" and len(parts) == 2:
        return f"{_IMEX_KIND}={parts[1]}"
    return rest


def _named(names: "list[str]", source: str, config: "dict[str, Json]", variables: "dict[str, str]") -> Asked:
    """A request by device names of any kind. Capability sets in CDI names (0.compute.utility) count together."""
    gpus: "list[str]" = []
    beside: "list[tuple[str, str, str]]" = []
    wanted: "dict[str, None]" = {}
    for name in names:
        kind, _, device = name.strip().partition("=")
        if kind == _IMEX_KIND:
            beside += _imex(device, source)
        elif kind in _kinds_beside():
            beside.append((_kinds_beside()[kind], device, f"{quote(name)} in {source}"))
        else:
            whole, given = _split(name.strip())
            gpus.append(whole)
            wanted.update(dict.fromkeys(given))
    request = parse_visible_devices(",".join(gpus) if gpus else "none", source)
    own = _annotations(config).get(CAPABILITIES)
    if own is not None:
        chosen = capabilities.parse(own)
    elif wanted:
        chosen = capabilities.canonical(name for name in wanted if name != "none")
    elif environment.CAPABILITIES not in variables and any(name.strip().startswith(_GPU_KINDS) for name in names):
        chosen = capabilities.ALL  # as the CDI device of that name, which is the whole driver
    else:
        chosen = environment.driver_capabilities(variables)
    return Asked(Request(request.devices, chosen, source), variables, beside)


def _split(name: str) -> "tuple[str, list[str]]":
    """nvidia.com/gpu=0.compute.utility is nvidia.com/gpu=0 with two capabilities; 0000:06:00.0 is a bus id."""
    kind, equals, device = name.rpartition("=")
    whole, _, label = device.partition(".")
    given = label.split(".")
    return (kind + equals + whole, given) if set(given) <= {"none", *capabilities.ALL} else (name, [])


def _beside(variables: "Mapping[str, str]", *, privileged: bool) -> "list[tuple[str, str, str]]":
    """What the other NVIDIA variables ask for. They mean nothing in a container that asks for no GPU."""
    found = _imex(variables.get(_IMEX, ""), _IMEX)
    for variable, name in _SWITCHED.items():
        if variables.get(variable) == "enabled":
            found.append((name, "all", variable + "=enabled"))
    for variable, name in _MIG.items():
        if variables.get(variable, "").strip():
            if not privileged:
                raise RefusedError(
                    f"{variable}={quote(variables[variable])} is only for privileged containers.",
                    why="whoever has it can divide the GPUs of everybody anew",
                    mend=f"start the container with --cap-add SYS_ADMIN, or without {variable}",
                )
            found.append((name, "all", f"{variable}={quote(variables[variable])}"))
    return found


def _imex(text: str, source: str) -> "list[tuple[str, str, str]]":
    return [("imex", channel, f"{source}={channel}") for channel in parse_imex(text, source)]
