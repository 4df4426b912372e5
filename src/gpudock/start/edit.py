"""What a plan changes in a container's root file system: the loader's view of the driver, and links at fixed places."""

from gpudock.start import linker
from gpudock.start.rootfs import OccupiedError, ReadOnlyError, VolumeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpudock.plan.document import Link, Variant
    from gpudock.start.rootfs import Rootfs


def apply(root: "Rootfs", variant: "Variant", *, library_links: bool) -> "list[str]":
    """Do it, in the container's own layer only. Returns what was left alone, and why. Raises GpudockError.

    Applying it again changes nothing.
    """
    notes = linker.prepare(root, variant["libraries"])
    links = [*variant["links"], *(_library_links(root, variant) if library_links else [])]
    return notes + _place(root, links)


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
    covered: "dict[str, list[str]]" = {}
    notes = []
    for link in links:
        try:
            root.link(link["path"], link["target"])
        except VolumeError as error:
            covered.setdefault(f"the volume on {error.volume}", []).append(link["path"])
        except ReadOnlyError:
            covered.setdefault("the read-only root file system", []).append(link["path"])
        except OccupiedError as error:
            notes.append(str(error))
    return notes + [f"{what} keeps out {', '.join(paths)}" for what, paths in covered.items()]
