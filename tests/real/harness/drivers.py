"""NVIDIA's real user space of three branches, as Debian packages it and a Debian host holds it.

Large files are stored with holes where their code was (see elf.trimmed): names, sizes, links and ELF headers are the real
ones, and 2 GB become a few MB. A loader must not open such a file; libcuda, libnvidia-ml and nvidia-smi are kept whole beside.
"""

import functools
import json
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from real.harness import alternatives, cache, packages, roots
from real.harness.commands import CommandFailed
from real.harness.debs import Deb, Shelf

_FORM = "2"  # of what is stored: raise it when the code stores something else
_KINDS = ("amd64 main contrib non-free non-free-firmware", "i386 non-free")
_RELEASES = {"bookworm": "debian 12 bookworm", "trixie": "debian 13 trixie"}
_KERNEL_SIDE = ("-kernel-dkms", "-kernel-source", "-detect", "-legacy-check")  # sources and scripts, no user space
GLVND = ("libglvnd0", "libgl1", "libglx0", "libegl1", "libgles1", "libgles2", "libopengl0")
_BESIDE = (
    *("glx-alternative-nvidia", "glx-diversions", "libnvidia-egl-gbm1", "libnvidia-egl-wayland1"),
    *("nvidia-persistenced", "nvidia-modprobe", "nvidia-xconfig", *GLVND),
)


@dataclass(frozen=True)
class Branch:
    name: str
    suite: str
    source: str
    folder: str  # where the libraries lie below /usr/lib/TRIPLET/nvidia
    beside: tuple[str, ...]  # packages of other sources that a host with this driver has
    i386: tuple[str, ...]  # () stands for all that there are

    @property
    def alternative(self) -> str:
        """The package whose script makes the links to the libraries."""
        return "nvidia-alternative" if self.folder == "current" else f"nvidia-{self.folder}-alternative"


BRANCHES = (
    Branch(
        "470",
        "bookworm",
        "nvidia-graphics-drivers-tesla-470",
        "tesla-470",
        # the configuration files of all drivers of a Debian release come from its newest
        (*_BESIDE, "nvidia-settings-tesla-470", "nvidia-opencl-common", "nvidia-egl-common", "nvidia-vulkan-common"),
        tuple(f"libnvidia-tesla-470-{name}" for name in ("cuda1", "ml1", "ptxjitcompiler1")),
    ),
    Branch(
        "535",
        "bookworm",
        "nvidia-graphics-drivers",
        "current",
        (*_BESIDE, "nvidia-settings"),
        ("libcuda1", "libnvidia-ml1", "libnvidia-ptxjitcompiler1", "libglx-nvidia0", "libnvidia-glcore"),
    ),
    Branch("550", "trixie", "nvidia-graphics-drivers", "current", (*_BESIDE, "nvidia-settings"), ()),
)


@dataclass(frozen=True)
class Package:
    version: str
    size: int  # of the download, in bytes
    files: tuple[str, ...]  # regular files and links, without a leading slash


@dataclass(frozen=True)
class Driver:
    branch: str
    version: str  # 535.261.03
    folder: str  # "current", "tesla-470": where the libraries lie below /usr/lib/TRIPLET/nvidia
    root: Path  # a Debian host with this driver; belongs to the cache: copy it (layouts), never write into it
    whole: Path  # folder with the untrimmed 64-bit libcuda.so.VERSION, libnvidia-ml.so.VERSION and nvidia-smi
    packages: dict[str, Package]  # by "name:architecture"


@functools.cache
def fetch() -> dict[str, Driver]:
    """The drivers by branch. First use downloads some 800 MB and keeps about 90 MB in the cache."""
    store = cache.kept("drivers/debian", cache.key(_FORM, repr(BRANCHES), repr(_KINDS)), _make)
    return {branch.name: _read(branch, store / branch.name) for branch in BRANCHES}


def _read(branch: Branch, folder: Path) -> Driver:
    told = json.loads((folder / "driver.json").read_text())
    have = {name: Package(row["version"], row["size"], tuple(row["files"])) for name, row in told["packages"].items()}
    return Driver(branch.name, told["version"], branch.folder, folder / "root", folder / "whole", have)


@dataclass
class _Work:
    """A branch on its way into the cache."""

    branch: Branch
    folder: Path
    debs: dict[str, Deb] = field(default_factory=dict)
    scripts: list[tuple[str, str]] = field(default_factory=list)
    unpacked: dict[str, Future[tuple[str, list[str]]]] = field(default_factory=dict)


def _make(staging: Path) -> None:
    staging.mkdir()
    shelf = Shelf(staging / "apt", _RELEASES, _KINDS)
    # A branch downloads while the one before is unpacked: the first waits for the network, the second for the processor.
    with ThreadPoolExecutor(2) as pool:
        work = [_Work(branch, staging / branch.name) for branch in BRANCHES]
        for one in work:
            _start(one, shelf, pool)
        for one in work:
            _finish(one)
    shutil.rmtree(shelf.folder)


def _start(work: _Work, shelf: Shelf, pool: ThreadPoolExecutor) -> None:
    """Fetches the packages of a branch and begins to unpack them."""
    branch = work.branch
    names = [f"{name}:amd64" for name in branch.beside]
    for component in ("non-free", "non-free-firmware"):
        made = shelf.made_from(branch.source, branch.suite, "amd64", component)
        names += [f"{name}:amd64" for name in made if not name.endswith(_KERNEL_SIDE)]
    small = branch.i386 or shelf.made_from(branch.source, branch.suite, "i386", "non-free")
    names += [f"{name}:i386" for name in {*small, branch.alternative}]
    work.debs = shelf.look_up(branch.suite, sorted(names))
    files = shelf.fetch(work.debs.values(), shelf.folder / branch.name)
    work.scripts = [
        (packages.postinst(files[work.debs[f"{branch.alternative}:amd64"]]), f"register-{branch.alternative}"),
        (
            packages.postinst(files[work.debs["glx-alternative-nvidia:amd64"]]),
            " register-glx-alternative-nvidia--pong ",
        ),
    ]
    moved = alternatives.diverted(packages.postinst(files[work.debs["glx-diversions:amd64"]]))
    place = packages.Place(work.folder / "root", work.folder / "whole", moved)
    roots.base(place.root, _RELEASES[branch.suite], multiarch=True)
    place.whole.mkdir()
    work.unpacked = {name: pool.submit(packages.unpack, files[deb], place) for name, deb in work.debs.items()}


def _finish(work: _Work) -> None:
    """What dpkg does once the files are there: its status, the alternatives, the linker's cache."""
    root = work.folder / "root"
    status, have = [], {}
    for name, future in work.unpacked.items():
        control, files = future.result()
        first, _, rest = control.partition("\n")
        status.append(f"{first}\nStatus: install ok installed\n{rest}")
        version = rest.partition("Version: ")[2].partition("\n")[0]
        have[name] = {"version": version, "size": work.debs[name].size, "files": sorted(files)}
    (root / "var/lib/dpkg").mkdir(parents=True, exist_ok=True)
    (root / "var/lib/dpkg/status").write_text("\n".join(status))
    alternatives.make(root, work.scripts)
    roots.linker_cache(root)
    found = {path.name.partition(".so.")[2] for path in root.glob("usr/lib/x86_64-linux-gnu/nvidia/*/libcuda.so.*.*")}
    version = found.pop() if len(found) == 1 else ""
    if not version.startswith(f"{work.branch.name}."):
        raise CommandFailed(
            f"{work.branch.suite} does not give one driver of branch {work.branch.name}: {version or found}"
        )
    roots.loaded_module(root, version)
    (work.folder / "driver.json").write_text(json.dumps({"version": version, "packages": have}, indent=1))
