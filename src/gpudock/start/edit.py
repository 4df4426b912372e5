"""What a plan changes in a container's root file system: the loader's view of the driver, links at fixed places, and
which GPUs EGL may open.
"""

from gpudock.plan.document import MOUNT_POINT, OWN_LIBRARIES, OWN_XORG
from gpudock.start import compat, linker, profile
from gpudock.start.rootfs import OccupiedError, ReadOnlyError, VolumeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpudock.plan.document import Gpu, Link, Plan, Variant
    from gpudock.start.rootfs import Rootfs


def apply(root: "Rootfs", plan: "Plan", variant: "Variant", gpus: "list[Gpu]") -> "list[str]":
    """Do it, in the container's own layer only, for a container that has these `gpus` of the plan. Returns what was
    left alone, and why. Raises GpudockError. Applying it again changes nothing.
    """
    libraries, notes = compat.choose(root, plan, variant["libraries"], gpus)
    notes += linker.prepare(root, libraries)
    notes += profile.write(root, variant, gpus)
    links = [*_fixed_links(root, variant), *(_library_links(root, variant) if plan["library_links"] else [])]
    return notes + _place(root, links)


def _fixed_links(root: "Rootfs", variant: "Variant") -> "list[Link]":
    """The plan's links, with the image's own folders filled in; those for a folder that it has not are dropped."""
    wide = [entry["flags"] for entry in variant["libraries"] if entry["path"].startswith(MOUNT_POINT + "/lib64/")]
    own = {
        OWN_LIBRARIES: linker.own_folder(root, wide[0]) if wide else None,
        OWN_XORG: "/usr/lib64/xorg" if root.stat("/usr/lib64/xorg/modules") else "/usr/lib/xorg",
    }
    links: "list[Link]" = []
    for link in variant["links"]:
        folder, _, rest = link["path"].partition("/")
        place = own[folder] if folder else ""
        if place is not None:
            links.append({"path": f"{place}/{rest}", "target": link["target"]})
    return links


def _library_links(root: "Rootfs", variant: "Variant") -> "list[Link]":
    """For programs that look into the system's library folder by themselves."""
    folders = {flags: linker.own_folder(root, flags) for flags in {entry["flags"] for entry in variant["libraries"]}}
    return [
        {"path": f"{folders[entry['flags']]}/{entry['soname']}", "target": entry["path"]}
        for entry in variant["libraries"]
        if folders[entry["flags"]]
    ]


def _place(root: "Rootfs", links: "list[Link]") -> "list[str]":
    """Containers work without these, so those in a volume, on a folder or in a read-only container are left out."""
    left_out: "dict[str, list[str]]" = {}
    for link in links:
        obstacle = _link(root, link)
        if obstacle:
            left_out.setdefault(obstacle, []).append(link["path"])
    return [f"{obstacle} keeps out {', '.join(paths)}" for obstacle, paths in left_out.items()]


def _link(root: "Rootfs", link: "Link") -> str:
    """What keeps the link out, in words; "" when it is in place."""
    try:
        root.link(link["path"], link["target"])
    except VolumeError as error:
        return f"the volume on {error.volume}"
    except ReadOnlyError:
        return "the read-only root file system"
    except OccupiedError:
        return "a folder of the same name"
    return ""
