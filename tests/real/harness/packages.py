"""Debian packages laid into a root: real names, links, modes and times, with holes where large files had their content."""

import subprocess
import tarfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from real.harness import elf
from real.harness.commands import CommandFailed, run
from real.harness.sparse import write_sparse

_KEPT_AS_IS = 65536  # bytes: smaller files keep all their content
_WHOLE = ("libcuda.so.", "libnvidia-ml.so.", "nvidia-smi")
_SKIPPED = ("usr/share/doc/", "usr/share/bug/", "usr/share/lintian/", "usr/share/locale/", "usr/share/icons/")


@dataclass(frozen=True)
class Place:
    """Where packages are laid out."""

    root: Path  # a merged /usr
    whole: Path  # folder for untrimmed copies of what programs and tests must be able to load (64 bit)
    diverted: frozenset[str]  # libraries that belong below /usr/lib/mesa-diverted


def postinst(deb: Path) -> str:
    return run(["dpkg-deb", "-I", str(deb), "postinst"]).stdout


def unpack(deb: Path, place: Place) -> tuple[str, list[str]]:
    """Its control file and its files (no folders, no documentation); the package itself is then removed."""
    control = run(["dpkg-deb", "-f", str(deb)]).stdout
    files = []
    whole = place.whole if "\nArchitecture: amd64\n" in control else None
    with (
        subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as unpacker,
        tarfile.open(fileobj=unpacker.stdout, mode="r|") as archive,
    ):
        for member in archive:
            name = _moved(member.name.removeprefix("./").rstrip("/"), place.diverted)
            if not name or f"{name}/".startswith(_SKIPPED):
                continue
            if not member.isdir():
                files.append(name)
            _store(member, archive.extractfile(member) if member.isfile() else None, place.root / name, whole)
    if unpacker.returncode:
        raise CommandFailed(f"dpkg-deb cannot unpack {deb.name}")
    deb.unlink()
    return control, files


def _moved(name: str, diverted: frozenset[str]) -> str:
    """Where the file of a package comes to lie on a host with merged /usr and glx-diversions."""
    if name.startswith(("lib/", "bin/", "sbin/")):
        name = f"usr/{name}"
    folder, _, file = name.rpartition("/")
    if file in diverted:
        return f"usr/lib/mesa-diverted/{folder.removeprefix('usr/lib/')}/{file}"
    return "" if name in ("lib", "bin", "sbin") else name


def _store(member: tarfile.TarInfo, content: IO[bytes] | None, place: Path, whole: Path | None) -> None:
    if member.isdir():
        place.mkdir(parents=True, exist_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):  # both architectures of a package carry the same configuration files
        if content is None:
            place.symlink_to(member.linkname)
            return
        data = content.read()
        mode = member.mode & 0o777  # no setuid program of another machine's may lie about here
        pieces = [(0, data)] if len(data) <= _KEPT_AS_IS else elf.trimmed(data)
        write_sparse(str(place), len(data), pieces, mode=mode, mtime=member.mtime)
        if whole and place.name.startswith(_WHOLE):
            write_sparse(str(whole / place.name), len(data), [(0, data)], mode=mode, mtime=member.mtime)
