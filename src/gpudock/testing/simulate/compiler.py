"""The machine's C compiler makes the simulated libraries and programs."""

import contextlib
import importlib.resources
import os
import re
import tempfile
from collections.abc import Iterator

from gpudock import proc
from gpudock.errors import HostError

_SOURCES = importlib.resources.files("gpudock.testing.simulate") / "c"
_BARE = ("-ffreestanding", "-fno-builtin", "-fno-stack-protector", "-fno-tree-loop-distribute-patterns", "-nostdlib")
_LIBRARY = (*_BARE, "-shared", "-fPIC", "-fvisibility=hidden", "-Wl,--hash-style=both", "-Wl,-z,noexecstack")
# Its symbols are those of the oldest glibc, hence no start files and libc.so.6 by name instead of the linker's script.
_SMI = ("-fPIE", "-pie", "-nostdlib", "-fno-stack-protector", "-U_FORTIFY_SOURCE")
_SMI_LIBRARIES = ("-Wl,--no-as-needed", "-l:libdl.so.2", "-l:libc.so.6")
_STATIC = (*_BARE, "-static", "-fno-pie", "-no-pie")

# Stands in the placeholder library where its SONAME will be; longer than any of them.
_SONAME_SLOT = "soname-of-a-simulated-library-".ljust(60, "-")


class Compiler:
    """Compiles what lies in one work folder. Raises HostError where there is no compiler, or one that cannot."""

    def __init__(self, runner: proc.Runner, folder: str) -> None:
        self._runner = runner
        self._folder = folder

    def library(self, source: str, soname: str, output: str) -> None:
        """A shared library that needs no other: it loads under glibc of any age and under musl."""
        self._compile(*_LIBRARY, f"-Wl,-soname,{soname}", "-o", output, source)

    def nvidia_smi(self, output: str) -> None:
        self._compile(*_SMI, "-o", output, "smi.c", *_SMI_LIBRARIES)

    def tool(self) -> bytes:
        """The program that says that it does nothing."""
        return self._bytes_of("tool", *_STATIC, "tool.c")

    def placeholder(self) -> bytes:
        """A small library whose SONAME `with_soname` sets: linking thirty of them one by one would take a second."""
        return self._bytes_of("placeholder", *_LIBRARY, f"-Wl,-soname,{_SONAME_SLOT}", "placeholder.c")

    def _bytes_of(self, name: str, *arguments: str) -> bytes:
        output = os.path.join(self._folder, name)
        self._compile("-o", output, *arguments)
        with open(output, "rb") as file:
            return file.read()

    def _compile(self, *arguments: str) -> None:
        paths = tuple(os.path.join(self._folder, word) if word.endswith(".c") else word for word in arguments)
        result = self._runner(proc.Command(("cc", "-std=gnu11", "-O1", "-Wl,--build-id=none", *paths)))
        if result.ok:
            return
        missing = result.code == proc.NOT_FOUND
        first = next(
            (line for line in result.err.splitlines() if "error" in line or "cannot" in line), result.err[:200]
        )
        raise HostError(
            "There is no C compiler on this machine." if missing else "The simulated driver cannot be compiled.",
            why="simulated GPUs are compiled when they are made" if missing else first,
            mend="apt-get install gcc libc6-dev",
        )


def with_soname(placeholder: bytes, soname: str) -> bytes:
    """The placeholder library under another SONAME, which the string table holds once and NUL-terminated."""
    slot = _SONAME_SLOT.encode()
    name = soname.encode()
    if placeholder.count(slot) != 1 or len(name) > len(slot):
        raise ValueError(soname)
    return placeholder.replace(slot, name.ljust(len(slot), b"\0"))


@contextlib.contextmanager
def compiler(runner: proc.Runner, header: str, parent: str) -> Iterator[Compiler]:
    """A Compiler with a work folder in `parent` that has the sources and `header` as data.h, and goes at the end."""
    with tempfile.TemporaryDirectory(prefix=".compile-", dir=parent) as folder:
        for source in _SOURCES.iterdir():
            _write(os.path.join(folder, source.name), source.read_bytes())
        _write(os.path.join(folder, "data.h"), header.encode("ascii"))
        yield Compiler(runner, folder)


def functions() -> frozenset[str]:
    """The NVML and CUDA functions that the simulated libraries have."""
    text = "".join((_SOURCES / name).read_text() for name in ("nvml.c", "cuda.c"))
    return frozenset(re.findall(r"^(?:API|RUNNING)\((\w+)", text, re.MULTILINE))


def _write(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
