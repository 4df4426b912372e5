"""Snapshot -> start plan. Pure: everything that container start will need is decided here, from facts alone."""

from typing import NamedTuple

from gpudock.facts.base import Missing
from gpudock.facts.driver import DriverFiles, Socket
from gpudock.facts.gpu import DeviceNode
from gpudock.facts.snapshot import Snapshot
from gpudock.gpu import classify, layout, numbers
from gpudock.gpu.devices import Devices, DriverProblemError, rights, text
from gpudock.gpu.extras import OPTIONS, extras, node
from gpudock.plan import capabilities, document

# Built without being asked for: what images ask for most. Others are built when first requested.
USUAL = (
    capabilities.ALL,
    ("compute", "utility"),
    ("utility",),
    ("compute", "utility", "video"),
    ("compute", "graphics", "utility"),
)
TREE_OPTIONS = ["ro", "nosuid", "nodev", "rbind", "rprivate"]


class ReplacedError(DriverProblemError):
    """The host has lost the files of the loaded module's driver. A tree that was made of them may still be whole."""

    def __init__(self, what: str, *, why: str, mend: str, installed: str, loaded: str) -> None:
        super().__init__(what, why=why, mend=mend)
        self.until_reboot = (
            f"{installed} is installed, {loaded} is still loaded: containers keep {loaded} until the reboot"
        )


class Compiled(NamedTuple):
    plan: document.Plan
    generation: str  # the driver tree's folder name
    contents: dict[str, layout.Content]  # what to build, by capability label


def compile_plan(
    snapshot: Snapshot,
    *,
    trees: str,
    wanted: tuple[tuple[str, ...], ...] = USUAL,
    library_links: bool = False,
) -> Compiled:
    """The plan for this machine, with driver trees below the folder `trees`. Raises DriverProblemError."""
    driver = usable_driver(snapshot)
    generation = layout.generation(driver)
    nodes = _current_nodes(snapshot)
    devices = Devices(snapshot, nodes)
    gpus = [devices.gpu(gpu) for gpu in snapshot.gpus]
    contents = {capabilities.label(names): layout.content(driver, names) for names in wanted}
    variants = {
        capabilities.label(names): _variant(
            names, contents[capabilities.label(names)], f"{trees}/{generation}", driver, nodes
        )
        for names in wanted
    }
    nvml = None if isinstance(snapshot.nvml, Missing) else snapshot.nvml
    plan = document.Plan(
        format=document.FORMAT,
        driver=text(driver.version) or ("" if nvml is None else nvml.driver),  # files of WSL carry no version
        cuda="" if nvml is None else text(nvml.cuda),
        simulated=snapshot.roots.simulated,
        wsl=snapshot.system.wsl,
        driver_root=snapshot.roots.driver,
        dev_root=snapshot.roots.dev,
        key=_key(snapshot, _files(contents, f"{trees}/{generation}"), _paths(gpus, variants)),
        gpus=gpus,
        variants=variants,
        extras=extras(nodes, snapshot.kernel_driver.capabilities, driver.sockets),
        library_links=library_links,
    )
    return Compiled(plan, generation, contents)


def usable_driver(snapshot: Snapshot) -> DriverFiles:
    """The driver files, after the reasons why they could not be used were ruled out."""
    driver, loaded = snapshot.driver, snapshot.kernel_driver.version
    if isinstance(driver, Missing):
        what, mend = (
            "No NVIDIA driver was found on this machine.",
            "install the driver, or name its folder with --driver-root",
        )
        if isinstance(loaded, str):  # a package manager removes one driver before it installs the next
            raise ReplacedError(what, why=driver.reason, mend=mend, installed="no driver", loaded=loaded)
        raise DriverProblemError(what, why=driver.reason, mend=mend)
    if not snapshot.system.wsl:
        if isinstance(loaded, Missing):
            raise DriverProblemError(
                "The NVIDIA kernel module is not loaded.", why=loaded.reason, mend="sudo modprobe nvidia, or reboot"
            )
        if isinstance(driver.version, str) and driver.version != loaded:
            raise ReplacedError(
                f"The loaded kernel module is {loaded}, the driver's libraries are {driver.version}.",
                why="the driver was upgraded without reloading its module",
                mend="reboot, or unload and load the nvidia modules",
                installed=f"driver {driver.version}",
                loaded=loaded,
            )
    if not snapshot.gpus and not snapshot.system.wsl:
        reason = snapshot.nvml.reason if isinstance(snapshot.nvml, Missing) else "the driver reports none"
        raise DriverProblemError("This machine has no usable NVIDIA GPU.", why=reason, mend="gpudock host")
    return driver


def _current_nodes(snapshot: Snapshot) -> dict[str, DeviceNode]:
    """By path, without those that were made for a driver's former number: they may lead to any driver now."""
    majors = snapshot.kernel_driver.majors
    indispensable = {*classify.CONTROL_NODES, *(f"/dev/nvidia{gpu.minor}" for gpu in snapshot.gpus)}
    nodes = {}
    for fact in snapshot.nodes:
        if not numbers.is_stale(fact, majors):
            nodes[fact.path] = fact
        elif fact.path in indispensable:
            raise DriverProblemError(
                f"{fact.path} was made for another device number ({fact.major}:{fact.minor}) than its driver has now.",
                why="the driver has been loaded again since, and /proc/devices has its new number",
                mend="sudo nvidia-modprobe -c 0 -u, then sudo gpudock refresh",
            )
    return nodes


def _paths(gpus: list[document.Gpu], variants: dict[str, document.Variant]) -> set[str]:
    """Of the nodes that containers with GPUs get."""
    nodes = [node for variant in variants.values() for node in variant["nodes"]]
    for gpu in gpus:
        nodes += [*gpu["nodes"], *(node for instance in gpu["instances"] for node in instance["nodes"])]
    return {node["path"] for node in nodes}


def _variant(
    names: tuple[str, ...],
    content: layout.Content,
    tree: str,
    driver: DriverFiles,
    nodes: dict[str, DeviceNode],
) -> document.Variant:
    folder = f"{tree}/{capabilities.label(names)}"
    mounts = [document.Mount(host=folder, container=document.MOUNT_POINT, options=TREE_OPTIONS)]
    firmware = [file for file in content.files if file.path.startswith("firmware/")]
    if firmware and isinstance(driver.version, str):
        place = f"/lib/firmware/nvidia/{driver.version}"
        mounts.append(document.Mount(host=f"{folder}/firmware", container=place, options=TREE_OPTIONS))
    mounts += [_socket(socket) for socket in driver.sockets if _socket_wanted(socket, names)]
    if driver.store:
        mounts.append(document.Mount(host=driver.store, container=driver.store, options=TREE_OPTIONS))
    return document.Variant(
        capabilities=list(names),
        folder=folder,
        drm=not {"graphics", "display"}.isdisjoint(names),
        nodes=[
            node(nodes[path])
            for path, needs in classify.CONTROL_NODES.items()
            if path in nodes and not set(needs).isdisjoint(names)
        ],
        mounts=mounts,
        libraries=list(content.libraries),
        links=list(content.places),
    )


def _socket_wanted(socket: Socket, names: tuple[str, ...]) -> bool:
    if socket.path in {"/run/udev", "/etc/cufile.json"}:  # GPUDirect Storage asks for these by itself
        return False
    return not set(classify.SOCKETS.get(socket.path, classify.MPS)).isdisjoint(names)


def _socket(socket: Socket) -> document.Mount:
    """The folder of a service, so that no file of it is left behind as a mount point and a restarted service is found.

    Read-only where the container only connects (that works on a read-only mount); MPS clients write into theirs.
    """
    read_only = ["ro"] if socket.path in classify.SOCKETS else []
    return document.Mount(host=socket.host, container=socket.path, options=[*read_only, *OPTIONS])


def _files(contents: dict[str, layout.Content], tree: str) -> list[document.FileIdentity]:
    """The tree's own files, each in the first variant that has it. On the host they may be replaced by those of another
    driver long before that one is loaded. Those of loaders may differ from the host's.
    """
    first = {
        path: document.FileIdentity(host=f"{tree}/{label}/{path}", size=source.size, mtime_ns=source.mtime_ns)
        for label, content in reversed(contents.items())
        for path, source in content.files
        if source.role != "config"
    }
    return [first[path] for path in sorted(first)]


def _key(snapshot: Snapshot, files: list[document.FileIdentity], paths: set[str]) -> document.Key:
    """Only what the nodes `paths` depend on: a driver beside NVIDIA's that was loaded again must not stop all GPUs."""
    minors = {capability.name: capability.minor for capability in snapshot.kernel_driver.capabilities}
    used = [name for gpu in snapshot.gpus for instance in gpu.instances for name in rights(gpu, instance)]
    return document.Key(
        proc=snapshot.roots.proc,
        sys=snapshot.roots.sys,
        boot_id=text(snapshot.system.boot_id),
        module=text(snapshot.kernel_driver.version),
        majors=numbers.used(paths, snapshot.kernel_driver.majors),
        # WSL has no /proc/driver/nvidia where container start could look for them.
        gpus={} if snapshot.system.wsl else {gpu.bus_id: [str(gpu.minor), gpu.uuid] for gpu in snapshot.gpus},
        mig_minors={name: minors[name] for name in used if name in minors},
        files=files,
    )
