"""Tells EGL and Vulkan which GPUs a container has: they would else try to open all those of the machine."""

from gpudock.start.rootfs import OccupiedError, ReadOnlyError, VolumeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gpudock.plan.document import Gpu, Variant
    from gpudock.start.rootfs import Rootfs

PATH = "/etc/nvidia/nvidia-application-profiles-rc.d/10-container.conf"
_MINORS = 64  # bits of the mask
_TEXT = (
    '{"profiles":[{"name":"_container_","settings":["EGLVisibleDGPUDevices",0x%x]}],'
    '"rules":[{"pattern":[],"profile":"_container_"}]}\n'
)


def write(root: "Rootfs", variant: "Variant", gpus: "list[Gpu]") -> "list[str]":
    """Returns what keeps it out. Containers without graphics need none; the driver reads it when EGL is initialised."""
    mask = sum({1 << gpu["minor"] for gpu in gpus if gpu["minor"] < _MINORS})
    if not mask or not {"graphics", "display"}.intersection(variant["capabilities"]):
        return []
    data = (_TEXT % mask).encode()
    found = root.stat(PATH)
    try:
        if not found or found.st_size != len(data) or root.read(PATH, len(data)) != data:
            root.publish(PATH, data, 0o444)
    except VolumeError as error:
        return [f"the volume on {error.volume} keeps out {PATH}"]
    except ReadOnlyError:
        return [f"the read-only root file system keeps out {PATH}"]
    except OccupiedError:
        return [f"a folder of the same name keeps out {PATH}"]
    return []
