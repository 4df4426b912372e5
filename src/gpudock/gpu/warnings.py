"""What is wrong with a machine that can be used all the same. One sentence each."""

from collections.abc import Iterator

from gpudock.facts.base import Missing
from gpudock.facts.snapshot import Snapshot

OF_SETTINGS = ("libnvidia-gtk", "libnvidia-wayland-client")  # nvidia-settings has versions of its own


def warnings(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.system.wsl:
        return
    if isinstance(snapshot.nvml, Missing):
        yield (
            f"NVML did not answer ({snapshot.nvml.reason}): MIG devices are left out, and what images require of CUDA "
            "and GPU models cannot be checked. See: nvidia-smi"
        )
    if "/dev/nvidia-uvm" not in {node.path for node in snapshot.nodes}:
        yield (
            "/dev/nvidia-uvm is missing: nvidia-smi will work in containers, CUDA will not. "
            "To mend it: sudo nvidia-modprobe -c 0 -u, then sudo gpudock refresh"
        )
    files = () if isinstance(snapshot.driver, Missing) else snapshot.driver.stale
    stale = [file for file in files if not file.name.startswith(OF_SETTINGS)]
    if stale:
        versions = ", ".join(sorted({file.version for file in stale if file.version}))
        yield f"{len(stale)} driver files of another version ({versions}) were left out, such as {stale[0].path}."
