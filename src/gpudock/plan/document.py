"""The start plan: what `refresh` compiled from the host, as container start reads it. One immutable JSON file.

Every decision that depends on the host alone is already made here, so that container start only picks and applies.
Paths named `host` are on this machine; `path`, `container` and `target` are inside a container.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    class Node(TypedDict):
        path: str
        host: str
        major: int
        minor: int
        mode: int  # permission bits
        uid: int
        gid: int

    class Mount(TypedDict):
        host: str
        container: str
        options: list[str]

    class Library(TypedDict):
        """An entry for the container's linker cache."""

        flags: int
        soname: str
        path: str

    class Link(TypedDict):
        """A fixed place where programs look for a driver file: `path` becomes a link to `target` in the driver tree.

        OWN_LIBRARIES or OWN_XORG in front stands for a folder that each image has elsewhere.
        """

        path: str
        target: str

    class Variant(TypedDict):
        """Everything that one capability set brings besides the GPUs themselves."""

        capabilities: list[str]
        folder: str  # the driver tree, on this machine: mounted read-only on MOUNT_POINT
        drm: bool  # the GPUs' DRM nodes belong to it
        nodes: list[Node]  # control nodes
        mounts: list[Mount]  # the tree first, then sockets and firmware
        libraries: list[Library]  # preferred first
        links: list[Link]

    class Instance(TypedDict):
        """A MIG device: the parent's node and two capability nodes; DRM nodes only with a graphics profile."""

        index: int
        gi: int
        ci: int
        uuid: str
        profile: str
        nodes: list[Node]
        drm: list[Node]

    class Gpu(TypedDict):
        index: int
        uuid: str
        bus_id: str
        minor: int
        name: str
        brand: str  # "" when unknown
        arch: str  # compute capability "9.0", "" when unknown
        mig: bool
        nodes: list[Node]
        drm: list[Node]
        instances: list[Instance]

    class Extra(TypedDict):
        """Things beside GPUs, by name: imex, gds, mofed, gdrcopy, nvswitch, mig-config, mig-monitor, management."""

        nodes: dict[str, list[Node]]  # device name -> nodes; "all" and, for imex, each channel
        mounts: list[Mount]

    class FileIdentity(TypedDict):
        """Of a file in the driver tree, by what stays the same however it is put there."""

        host: str
        size: int
        mtime_ns: int

    class Key(TypedDict):
        """What must still be true for the plan to be valid. Checked before each container start."""

        proc: str  # where to look: "/proc", or a simulated host's
        sys: str
        boot_id: str
        module: str  # version of the loaded kernel module, "" when none is needed (WSL)
        majors: dict[str, int]  # of the drivers that nodes of gpus and variants lead to
        gpus: dict[str, list[str]]  # bus id -> [minor, uuid]
        mig_minors: dict[str, int]  # "gpu0/gi1/access" -> minor, of the instances that exist
        files: list[FileIdentity]

    class Plan(TypedDict):
        format: int
        driver: str  # version of driver and kernel module
        cuda: str  # newest CUDA that the driver supports, "" when unknown
        simulated: bool
        wsl: bool
        driver_root: str  # where `refresh` looked, so that it can be asked to look there again
        dev_root: str
        key: Key
        gpus: list[Gpu]
        variants: dict[str, Variant]  # by capabilities.label()
        extras: dict[str, Extra]
        library_links: bool  # also link the libraries into the image's own library folder

else:  # importing typing costs more than the whole of a container start's own work; at run time these are dictionaries
    Node = Mount = Library = Link = Variant = Instance = Gpu = Extra = FileIdentity = Key = Plan = dict

FORMAT = 1
MOUNT_POINT = "/usr/local/nvidia"
OWN_LIBRARIES = "@lib"  # the image's folder for 64-bit libraries
OWN_XORG = "@xorg"  # the image's folder of the X server
SIZE_LIMIT = 8 << 20  # bytes; a plan for 16 GPUs is far below 1 MiB
