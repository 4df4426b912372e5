"""Which files of an image's layers are the driver's."""

import hashlib
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from gpudock.engine.build import tarwalk
from gpudock.engine.build.tarwalk import Member
from gpudock.plan.document import MOUNT_POINT

if TYPE_CHECKING:
    from collections.abc import Callable

ANY_VERSION = r"\d{3}\.\d+(?:\.\d+)?"
_LIBRARY = r"lib[A-Za-z0-9_+-]+\.so\."
_EMPTY = re.compile(r"(lib(cuda|cudadebugger|nvcuvid|nvidia-[a-z0-9-]+|nvoptix)\.so(\.[0-9.]+)?|nvidia-smi)")
_ELSEWHERE = ("compat", "stubs")  # folders of the CUDA toolkit with libraries that are meant to be in images
_MAJOR = 195  # of NVIDIA's device nodes
_ELF = b"\x7fELF"


class Driver(NamedTuple):
    """What is known of the driver that RUN steps see."""

    version: str = ""  # "" when it is not known, as on other machines
    names: frozenset[str] = frozenset()  # base names of its files
    sizes: dict[int, tuple[str, ...]] = {}  # noqa: RUF012  never changed; size -> its files of that size

    def library(self) -> re.Pattern[str]:
        return re.compile(_LIBRARY + (re.escape(self.version) if self.version else ANY_VERSION))


class Judge:
    """Says of each member of a layer why it is the driver's, or nothing."""

    def __init__(self, driver: Driver, digest: "Callable[[str], str] | None" = None) -> None:
        self._driver = driver
        self._library = driver.library()
        self._digest = digest or digest_of
        self._digests: dict[int, set[str]] = {}

    def reason(self, member: Member) -> str:
        """Links are allowed: without the driver they lead nowhere, with another one to that one's file."""
        name = member.name.rstrip("/")
        folder, base = os.path.split(name)
        if base.startswith(".wh.") or member.kind in (tarwalk.LINK, tarwalk.FOLDER):
            return ""
        if member.kind in (tarwalk.CHARACTER, tarwalk.BLOCK_DEVICE):
            return "a device node" if member.major == _MAJOR or base.startswith("nvidia") else ""
        if f"/{name}".startswith(MOUNT_POINT + "/"):
            return f"a file below {MOUNT_POINT}"
        if member.size == 0 and member.kind == tarwalk.REGULAR:
            return "an empty file of that name" if base in self._driver.names or _EMPTY.fullmatch(base) else ""
        if self._library.fullmatch(base) and not set(_ELSEWHERE) & set(folder.split("/")):
            return "a library of the driver" if self._driver.version else "a library of a driver"
        return self._same(member)

    def _same(self, member: Member) -> str:
        """A program or library with the very content of one of the driver's, whatever it is called."""
        files = self._driver.sizes.get(member.size)
        if not files or member.kind != tarwalk.REGULAR:
            return ""
        start = member.body.read(4096)
        if not start.startswith(_ELF):  # a text such as an ICD's is short, and the same in every package
            return ""
        found = hashlib.sha256(start)
        while data := member.body.read():
            found.update(data)
        if member.size not in self._digests:
            self._digests[member.size] = {self._digest(path) for path in files}
        return "a copy of a file of the driver" if found.hexdigest() in self._digests[member.size] else ""


def digest_of(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
