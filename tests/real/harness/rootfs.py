"""Root file systems of test images, made from the programs and libraries of the machine: no image registry is needed."""

import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from real.harness import archive
from real.harness.commands import run

PROBE_SOURCE = Path(__file__).with_name("probe.c")
_MULTIARCH = "x86_64-linux-gnu"
_LOADER = "ld-linux-x86-64.so.2"
# What glibc programs and NVIDIA's libraries need.
_GLIBC = ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libgcc_s.so.1")


def busybox(tree: Path) -> None:
    """One static program: no loader, no C library, no linker cache, no probe."""
    _base(tree)


def tiny(tree: Path) -> None:
    """glibc in Debian's multiarch folders, with ldconfig and a linker cache."""
    _base(tree)
    libraries = f"lib/{_MULTIARCH}"
    _glibc(tree, libraries, f"{libraries}/{_LOADER}")
    (tree / "lib64").mkdir()
    (tree / "lib64" / _LOADER).symlink_to(f"/{libraries}/{_LOADER}")
    _linker_cache(tree, "debian.conf", f"/lib/{_MULTIARCH}\n/usr/lib/{_MULTIARCH}\n")
    compile_probe("gcc", tree / "probe")


def lib64(tree: Path) -> None:
    """glibc where Fedora and its kin have it: /lib64 is a link to usr/lib64, and there is no multiarch folder.

    The loader is Debian's, which knows /usr/lib64 from the linker cache only (Fedora's is built with it): a cache that
    loses the folder breaks this image at once.
    """
    _base(tree, merged=True)
    (tree / "lib64").symlink_to("usr/lib64")
    _glibc(tree, "usr/lib64", f"usr/lib64/{_LOADER}")
    _linker_cache(tree, "lib64.conf", "/usr/lib64\n")
    compile_probe("gcc", tree / "probe")


def musl(tree: Path) -> None:
    """musl where Alpine has it: the loader is the C library, there is no linker cache and no ldconfig."""
    _base(tree)
    (tree / "lib").mkdir()
    loader = tree / "lib/ld-musl-x86_64.so.1"
    shutil.copy("/lib/ld-musl-x86_64.so.1", loader)
    loader.chmod(0o755)
    (tree / "lib/libc.musl-x86_64.so.1").symlink_to(loader.name)
    compile_probe("musl-gcc", tree / "probe")


TREES: dict[str, Callable[[Path], None]] = {"busybox": busybox, "tiny": tiny, "lib64": lib64, "musl": musl}


def pack(tree: Path, tar: Path) -> None:
    """The tree as a tar: owned by root, in order."""
    with tarfile.open(tar, "w") as packed:
        packed.add(tree, arcname=".", filter=_owned_by_root)


def debian(tar: Path, *include: str) -> None:
    """The machine's own distribution, minimal, with apt and dpkg's database, and the probe, as a tar."""
    without = [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("man", "locale", "doc")]
    packages = f"--include={','.join(('apt', *include))}"  # which Ubuntu does not require
    bootstrap = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=tar", packages, *without]
    run([*bootstrap, archive.codename(), str(tar), archive.source()], timeout=600)
    probe = tar.with_name(tar.name + ".probe")
    compile_probe("gcc", probe)
    with tarfile.open(tar, "a") as packed:
        packed.add(probe, arcname="./probe", filter=_owned_by_root)
    probe.unlink()


def python(tar: Path) -> None:
    """debian with Python, as images of Python have it, and this machine's way to package indexes."""
    debian(tar, "python3", "python3-venv")
    certificates = Path("/etc/ssl/certs/ca-certificates.crt")
    with tempfile.TemporaryDirectory(prefix="gpudock-image-") as temp, tarfile.open(tar, "a") as packed:
        settings = Path(temp, "pip.conf")
        settings.write_text("[global]\ncert = /etc/ssl/machine.crt\n" if certificates.is_file() else "")
        packed.add(settings, arcname="./etc/pip.conf", filter=_owned_by_root)
        if certificates.is_file():
            packed.add(certificates.resolve(), arcname="./etc/ssl/machine.crt", filter=_owned_by_root)


def systemd(tar: Path) -> None:
    """debian that boots, with Python."""
    debian(tar, "systemd", "systemd-sysv", "dbus", "udev", "python3")


def compile_probe(compiler: str, program: Path) -> None:
    run([compiler, "-O1", "-Wall", "-Wextra", "-Werror", "-o", str(program), str(PROBE_SOURCE), "-ldl"])


def _base(tree: Path, *, merged: bool = False) -> None:
    for folder in ("etc", "proc", "sys", "dev", "run", "tmp", "root", "usr/bin", "usr/sbin", "usr/lib"):
        (tree / folder).mkdir(parents=True)
    (tree / "tmp").chmod(0o1777)
    for folder in ("bin", "sbin"):
        (tree / folder).symlink_to(f"usr/{folder}") if merged else (tree / folder).mkdir()
    if merged:
        (tree / "lib").symlink_to("usr/lib")
    (tree / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (tree / "etc/group").write_text("root:x:0:\n")
    program = archive.installed("busybox")
    shutil.copy(program, tree / "bin/busybox")
    for applet in run([str(program), "--list"]).stdout.split():
        if applet not in ("busybox", "ldconfig"):
            (tree / "bin" / applet).symlink_to("busybox")


def _glibc(tree: Path, libraries: str, loader: str) -> None:
    (tree / libraries).mkdir(parents=True)
    for name in _GLIBC:
        shutil.copy(f"/lib/{_MULTIARCH}/{name}", tree / libraries / name)
    shutil.copy(f"/lib/{_MULTIARCH}/{_LOADER}", tree / loader)
    # Ubuntu's ldconfig is a script around the program.
    wrapped = Path("/usr/sbin/ldconfig.real")
    shutil.copy(wrapped if wrapped.exists() else archive.installed("ldconfig"), tree / "sbin/ldconfig")


def _linker_cache(tree: Path, name: str, folders: str) -> None:
    (tree / "etc/ld.so.conf.d").mkdir()
    (tree / "etc/ld.so.conf").write_text("include /etc/ld.so.conf.d/*.conf\n")
    (tree / "etc/ld.so.conf.d" / name).write_text(folders)
    run([str(archive.installed("ldconfig")), "-r", str(tree)])


def _owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member
