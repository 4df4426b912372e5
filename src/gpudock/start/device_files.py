"""Lets NVIDIA's libraries in a container make no device nodes: they look into a file of /proc that says whether to.

A container's device cgroup keeps it from GPUs that it was not given, whatever nodes it makes; this is the second wall
(CVE-2021-1056: the driver itself looks at no node's owner or mode). The machine's own file stays as it is.
"""

from gpudock.errors import HostError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpudock.start.hook import CoveringRootfs

PARAMS = "/proc/driver/nvidia/params"
FLAG = "--withhold-device-files"
_LIMIT = 1 << 16  # bytes
_ALLOWED, _WITHHELD = b"ModifyDeviceFiles: 1", b"ModifyDeviceFiles: 0"


def withhold(root: "CoveringRootfs", path: str = PARAMS) -> None:
    """Raises HostError where it cannot be done. A machine without that file, or that says no already, needs nothing."""
    said = root.read(path, _LIMIT)
    if said is None or _ALLOWED not in said:
        return
    try:
        done = root.cover(path, said.replace(_ALLOWED, _WITHHELD), 0o444)
    except OSError as error:
        raise HostError(f"{path} cannot be covered in this container.", why=error.strerror or str(error)) from error
    if not done:
        raise HostError(f"{path} cannot be covered in this container.", why="such a mount would be seen outside of it")
