"""Driver capabilities: what a container may be given of the driver, by the names of NVIDIA_DRIVER_CAPABILITIES."""

from gpudock.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

ALL = ("compute", "compat32", "graphics", "utility", "video", "display", "ngx")  # canonical order
DEFAULT = ("compute", "utility")


def canonical(names: "Iterable[str]") -> "tuple[str, ...]":
    """Known names in canonical order, without duplicates; `all` stands for each. Raises UsageError for others."""
    wanted = set(names)
    if "all" in wanted:
        return ALL
    unknown = sorted(wanted - set(ALL))
    if unknown:
        raise UsageError(
            "Unknown driver capability: " + ", ".join(unknown) + ".",
            mend="use some of all, " + ", ".join(ALL),
        )
    return tuple(name for name in ALL if name in wanted)


def parse(text: str) -> "tuple[str, ...]":
    """The value of NVIDIA_DRIVER_CAPABILITIES: names separated by commas or spaces. Empty means the default."""
    names = text.replace(",", " ").split()
    return canonical(names) if names else DEFAULT


def label(capabilities: "Iterable[str]") -> str:
    """One word for a canonical set, fit for file and CDI device names: "compute.utility", or "all"."""
    names = tuple(capabilities)
    return "all" if names == ALL else ".".join(names) or "none"
