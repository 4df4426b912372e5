"""What every host has under a driver: merged /usr, os-release, the linker's configuration and cache, the loaded module."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from real.harness.archive import installed
from real.harness.commands import run

_DEBIAN_LINKER = {
    "libc.conf": "# libc default configuration\n/usr/local/lib\n",
    "x86_64-linux-gnu.conf": "# Multiarch support\n/usr/local/lib/x86_64-linux-gnu\n/lib/x86_64-linux-gnu\n/usr/lib/x86_64-linux-gnu\n",
    "i386-linux-gnu.conf": "# Multiarch support\n/usr/local/lib/i386-linux-gnu\n/lib/i386-linux-gnu\n/usr/lib/i386-linux-gnu\n",
}
_MODULE = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  {version}  Tue Apr  8 12:41:17 UTC 2025\nGCC version:  gcc version 12.2.0\n"


def base(root: Path, os_release: str, *, multiarch: bool) -> None:
    """An empty host of merged /usr; os_release is "ID VERSION_ID CODENAME"."""
    name, number, codename = os_release.split(" ")
    for folder in ("etc/ld.so.conf.d", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "usr/share", "tmp", "var/lib"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for link in ("bin", "sbin", "lib", "lib64"):
        (root / link).symlink_to(f"usr/{link}")
    text = f'ID={name}\nVERSION_ID="{number}"\nVERSION_CODENAME={codename}\n'
    (root / "usr/lib/os-release").write_text(text)
    (root / "etc/os-release").symlink_to("../usr/lib/os-release")
    if name == "debian":
        (root / "etc/debian_version").write_text(f"{number}.11\n")
    if multiarch:
        for file, content in _DEBIAN_LINKER.items():
            (root / "etc/ld.so.conf.d" / file).write_text(content)


def linker_cache(root: Path, folders: Sequence[str] = ()) -> None:
    """What ldconfig makes of the root with these folders configured besides those that are."""
    (root / "etc/ld.so.conf").write_text("include /etc/ld.so.conf.d/*.conf\n")
    if folders:
        (root / "etc/ld.so.conf.d/nvidia.conf").write_text("".join(f"{folder}\n" for folder in folders))
    run([str(installed("ldconfig")), "-r", str(root)])
    shutil.rmtree(root / "var/cache/ldconfig", ignore_errors=True)  # inode numbers of this very copy


def loaded_module(root: Path, version: str) -> None:
    """What /proc and /sys say when the kernel module of this version is loaded."""
    for file, content in {
        "proc/driver/nvidia/version": _MODULE.format(version=version),
        "sys/module/nvidia/version": f"{version}\n",
    }.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(content)
