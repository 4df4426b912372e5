"""The ELF reader: real libraries, made ones, and everything that only looks like one."""

import os
import random
import struct
from pathlib import Path

import pytest

from gpudock.host import elf
from real.harness.elf import write_library


def libraries_of_this_machine() -> list[str]:
    folders = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64")
    return [
        entry.path
        for folder in folders
        if os.path.isdir(folder)
        for entry in os.scandir(folder)
        if ".so" in entry.name and entry.is_file() and not entry.is_symlink()
    ]


def test_real_libraries_have_the_soname_that_the_linker_links_to_them() -> None:
    """ldconfig made /usr/lib/.../libz.so.1 -> libz.so.1.2.13 from the SONAME: the links are a second opinion."""
    checked = 0
    for path in libraries_of_this_machine():
        facts = elf.read(path)
        if facts and facts.soname and facts.soname != os.path.basename(path):
            link = os.path.join(os.path.dirname(path), facts.soname)
            if os.path.islink(link):
                assert os.path.exists(link)
                checked += os.path.realpath(link) == os.path.realpath(path)
                assert facts.bits == struct.calcsize("P") * 8
    assert checked > 5


@pytest.mark.parametrize(("bits", "machine", "flags"), [(64, 62, 0x0303), (32, 3, 0x0003)])
@pytest.mark.parametrize("soname", ["libcuda.so.1", None])
def test_made_libraries(tmp_path: Path, bits: int, machine: int, flags: int, soname: str | None) -> None:
    path = str(tmp_path / "lib.so")
    write_library(path, soname, bits=bits, needed=("libc.so.6",), size=100_000)
    facts = elf.read(path)
    assert facts is not None
    assert (facts.soname, facts.bits, facts.machine, facts.cache_flags) == (soname, bits, machine, flags)


@pytest.mark.parametrize("soname", ["../libcuda.so.1", "..", ".", "lib cuda\n", "lib\x1b[2Jcuda.so"])
def test_a_soname_that_is_no_file_name_is_none(tmp_path: Path, soname: str) -> None:
    path = str(tmp_path / "lib.so")
    write_library(path, soname)
    facts = elf.read(path)
    assert facts is not None
    assert facts.soname is None


def test_what_cannot_be_read_is_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "text").write_text("no library")
    (tmp_path / "empty").touch()
    write_library(str(tmp_path / "lib.so"), "libcuda.so.1")
    (tmp_path / "link").symlink_to("lib.so")
    for name in ("fifo", "text", "empty", "link", "missing", "."):
        assert elf.read(str(tmp_path / name)) is None, name


def test_ten_thousand_broken_files_are_facts_or_none(tmp_path: Path) -> None:
    """Any byte of the headers changed, any length cut: never an exception, and no long read (pytest's own timeout)."""
    chance = random.Random(1)
    wholes = []
    for bits in (64, 32):
        path = str(tmp_path / f"lib{bits}.so")
        write_library(path, "libcuda.so.1", bits=bits, needed=("libc.so.6", "libdl.so.2"))
        wholes.append(Path(path).read_bytes())
    path = str(tmp_path / "broken.so")
    with open(path, "wb", buffering=0) as broken:  # kept open: closing a truncated file would flush it to the disk
        for _ in range(10_000):
            data = bytearray(chance.choice(wholes))
            for _ in range(chance.randint(1, 4)):
                place = chance.randrange(4, len(data))
                data[place] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
            del data[chance.choice((len(data), chance.randrange(len(data) + 1))) :]
            os.pwrite(broken.fileno(), data, 0)
            broken.truncate(len(data))
            facts = elf.read(path)
            assert facts is None or facts.bits in {32, 64}
