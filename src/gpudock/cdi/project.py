"""Start plan -> CDI specification: a pure projection. The same plan and options give the same specification."""

import re
from typing import NamedTuple

from gpudock.cdi import schema
from gpudock.errors import RefusedError
from gpudock.plan import capabilities, edits
from gpudock.plan.document import Extra, Gpu, Instance, Mount, Node, Plan, Variant

VENDOR, CLASS = "nvidia.com", "gpu"
STRATEGIES = ("index", "uuid", "type-index")
HOOK_TIMEOUT = 30  # seconds


class Options(NamedTuple):
    hook: tuple[str, ...]  # program, then its arguments as the kernel gets them (argv[0] first)
    vendor: str = VENDOR
    device_class: str = CLASS
    strategies: tuple[str, ...] = ("index", "uuid")
    device_ids: tuple[str, ...] = ("all",)  # of the GPUs: index, 0:1, UUID
    all_device: bool = True
    groups: bool = False  # additionalGids: no reader older than CDI 0.7.0 is present
    filtered: bool = True  # also devices with a subset of the driver: 0.compute.utility


def gpus(plan: Plan, options: Options) -> schema.Spec:
    """The specification of all GPUs and MIG devices. Raises RefusedError when nothing is left to name."""
    chosen = [
        ([names[strategy] for strategy in options.strategies], device)
        for names, device in _devices(plan)
        if not {"all", *names.values()}.isdisjoint(options.device_ids)
    ]
    known = {"all", *(name for names, _ in _devices(plan) for name in names.values())}
    unknown = [name for name in options.device_ids if name not in known]
    if unknown or (not chosen and not (plan["wsl"] and options.all_device)):
        asked = ", ".join(unknown or options.device_ids)
        raise RefusedError(f"No GPU for a CDI specification: {asked}.", why=_why_none(plan), mend="gpudock host")
    devices: list[schema.Device] = []
    for label, variant in plan["variants"].items():
        if label != "all" and not options.filtered:
            continue
        suffix = "" if label == "all" else "." + label
        for names, device in chosen:
            for name in names:  # each with edits of its own: YAML would write shared ones as anchors
                part = _edits(edits.nodes(device, variant), variant["mounts"], groups=options.groups)
                devices.append(schema.Device(name=name + suffix, containerEdits=part))
        if options.all_device:
            nodes = edits.merged(
                [*variant["nodes"], *(n for _, device in chosen for n in edits.nodes(device, variant))]
            )
            part = _edits(nodes, variant["mounts"], groups=options.groups)
            devices.append(schema.Device(name="all" + suffix, containerEdits=part))
    common = schema.ContainerEdits(env=list(edits.ENVIRONMENT), hooks=[_hook(options.hook)])
    return _finish(f"{options.vendor}/{options.device_class}", devices, common)


def beside(plan: Plan, mode: str, kind: str) -> schema.Spec:
    """The specification of imex, gds, mofed, gdrcopy or nvswitch. Raises RefusedError when the machine has none."""
    part: Extra | None = plan["extras"].get(mode)
    if not part:
        raise RefusedError(f"This machine has nothing for CDI mode {mode}.", why="its device nodes do not exist")
    devices = [
        schema.Device(name=name, containerEdits=_edits(nodes, part["mounts"], groups=False))
        for name, nodes in part["nodes"].items()
    ]
    return _finish(kind, devices, {})


def management(plan: Plan, options: Options) -> schema.Spec:
    """One device `all` with every NVIDIA node and the whole driver, for monitoring and MIG set-up."""
    variant: Variant = plan["variants"]["all"]
    managed = plan["extras"].get("management")
    if not managed:
        raise RefusedError("This machine has nothing for CDI mode management.", why="its device nodes do not exist")
    nodes = edits.merged([*managed["nodes"]["all"], *variant["nodes"]])
    device = schema.Device(name="all", containerEdits=_edits(nodes, variant["mounts"], groups=options.groups))
    common = schema.ContainerEdits(env=list(edits.ENVIRONMENT), hooks=[_hook(options.hook)])
    return _finish(f"{options.vendor}/{options.device_class}", [device], common)


def _finish(kind: str, devices: list[schema.Device], common: schema.ContainerEdits) -> schema.Spec:
    spec = schema.Spec(cdiVersion="", kind=kind, devices=sorted(devices, key=lambda device: _natural(device["name"])))
    if common:
        spec["containerEdits"] = common
    spec["cdiVersion"] = schema.version(spec)
    return spec


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key in which 2 comes before 10, and gpu2 before gpu10."""
    return [(int(part), "") if part.isdecimal() else (1 << 30, part) for part in re.split(r"(\d+)", name)]


def _devices(plan: Plan) -> list[tuple[dict[str, str], Gpu | Instance]]:
    """Each GPU, and instead of a MIG-enabled one its instances, with its name by each strategy."""
    found: list[tuple[dict[str, str], Gpu | Instance]] = []
    if plan["wsl"] and len(plan["gpus"]) > 1:  # /dev/dxg is all GPUs at once: none can be named alone
        return found
    for gpu in plan["gpus"]:
        if not gpu["mig"]:
            index = str(gpu["index"])
            found.append(({"index": index, "uuid": gpu["uuid"], "type-index": "gpu" + index}, gpu))
        for instance in gpu["instances"]:
            index = f"{gpu['index']}:{instance['index']}"
            found.append(({"index": index, "uuid": instance["uuid"], "type-index": "mig" + index}, instance))
    return found


def _why_none(plan: Plan) -> str:
    if not plan["gpus"]:
        return "the machine has none"
    names = [names["index"] for names, _ in _devices(plan)]
    return "the machine has " + (", ".join(names) if names else "MIG-enabled GPUs without instances")


def _edits(nodes: list[Node], mounts: list[Mount], *, groups: bool) -> schema.ContainerEdits:
    part = schema.ContainerEdits(deviceNodes=[_node(node) for node in nodes])
    if mounts:
        part["mounts"] = [
            schema.Mount(hostPath=mount["host"], containerPath=mount["container"], options=[*mount["options"]])
            for mount in mounts
        ]
    gids = edits.groups(nodes) if groups else []
    if gids:
        part["additionalGids"] = gids
    return part


def _node(node: Node) -> schema.DeviceNode:
    made = schema.DeviceNode(
        path=node["path"],
        type="c",
        major=node["major"],
        minor=node["minor"],
        fileMode=node["mode"],
        permissions="rw",
    )
    if node["host"] != node["path"]:
        made["hostPath"] = node["host"]
    if node["uid"]:
        made["uid"] = node["uid"]
    if node["gid"]:
        made["gid"] = node["gid"]
    return made


def _hook(command: tuple[str, ...]) -> schema.Hook:
    """Never without an environment: older runc then hands the image's own to a process of the host's root."""
    return schema.Hook(
        hookName="createContainer",
        path=command[0],
        args=list(command[1:]),
        env=["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"],
        timeout=HOOK_TIMEOUT,
    )


def device_name(name: str, wanted: tuple[str, ...]) -> str:
    """The device that stands for `name` with only these capabilities: "0" and ("utility",) give "0.utility"."""
    label = capabilities.label(wanted)
    return name if label == "all" else f"{name}.{label}"
