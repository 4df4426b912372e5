"""Discovery of the driver's user space in small roots: each oddity of the field alone. Whole layouts: tests/real."""

import os
import socket
from pathlib import Path

import pytest

from gpudock.facts.base import Missing
from gpudock.facts.driver import DriverFiles
from real.harness import h200
from real.harness.elf import write_library
from unit.machines import I386, LIB, LIB32, LIBRARIES, OTHERS, VERSION, X86_64, DriverRoot, whole


@pytest.fixture
def root(tmp_path: Path) -> DriverRoot:
    return DriverRoot(tmp_path / "root")


def names(found: DriverFiles, role: str = "library") -> set[str]:
    return {file.name for file in found.files if file.role == role}


def driver(root: DriverRoot, folder: str = LIB, version: str = VERSION) -> None:
    """The least that is a driver: libcuda and libnvidia-ml with their links."""
    for name in ("cuda", "nvidia-ml"):
        root.library(f"{folder}/lib{name}.so.{version}", f"lib{name}.so.1", links=(f"lib{name}.so",))


def test_a_whole_driver_is_found_with_every_fact(tmp_path: Path) -> None:
    found = whole(tmp_path).files()
    assert found.version == VERSION
    assert found.stale == ()
    assert names(found) == {os.path.basename(name) for name in LIBRARIES}
    assert {file.path for file in found.files if file.role not in {"library", "xorg"}} == set(OTHERS)
    assert names(found, "xorg") == {"nvidia_drv.so", f"libglxserver_nvidia.so.{VERSION}"}
    cuda = next(file for file in found.files if file.path == f"{LIB}/libcuda.so.{VERSION}")
    info = os.stat(f"{tmp_path}{LIB}/libcuda.so.{VERSION}")
    assert (cuda.host, cuda.inode, cuda.size, cuda.mtime_ns) == (
        f"{tmp_path}{LIB}/libcuda.so.{VERSION}",
        info.st_ino,
        info.st_size,
        info.st_mtime_ns,
    )
    assert cuda.elf is not None
    assert (cuda.elf.soname, cuda.elf.cache_flags, cuda.links) == ("libcuda.so.1", X86_64, ("libcuda.so.1",))
    assert (
        whole(tmp_path / "again").files().files[0].name == found.files[0].name
    )  # the order is the files', not the disk's


def test_debian_alternatives_with_absolute_links(root: DriverRoot) -> None:
    """/usr/lib/.../libcuda.so.1 -> /etc/alternatives/... -> /usr/lib/.../nvidia/current -> tesla-470."""
    folder = f"{LIB}/nvidia/tesla-470"
    driver(root, folder, "470.256.02")
    root.link(f"{LIB}/nvidia/current", "tesla-470")
    for name in ("libcuda.so.1", "libnvidia-ml.so.1"):
        root.link(f"/etc/alternatives/glx--{name}", f"{LIB}/nvidia/current/{name}")
        root.link(f"{LIB}/{name}", f"/etc/alternatives/glx--{name}")
    root.file("/usr/lib/nvidia/tesla-470/nvidia-smi", mode=0o755)
    root.link("/etc/alternatives/nvidia--nvidia-smi", "/usr/lib/nvidia/tesla-470/nvidia-smi")
    root.link("/usr/bin/nvidia-smi", "/etc/alternatives/nvidia--nvidia-smi")
    found = root.files(loaded="470.256.02")
    assert found.version == "470.256.02"
    assert {file.path for file in found.files} == {
        f"{folder}/libcuda.so.470.256.02",
        f"{folder}/libnvidia-ml.so.470.256.02",
        "/usr/lib/nvidia/tesla-470/nvidia-smi",
    }
    assert all(file.host.startswith(root.folder) for file in found.files)


def test_merged_usr_finds_each_file_once(root: DriverRoot) -> None:
    driver(root, "/usr/lib64")
    root.link("/lib64", "usr/lib64")
    root.link("/lib", "usr/lib")
    found = root.files()
    assert [file.path for file in found.files] == [
        f"/usr/lib64/lib{name}.so.{VERSION}" for name in ("cuda", "nvidia-ml")
    ]


def test_a_folder_that_only_the_linker_cache_knows(root: DriverRoot) -> None:
    driver(root, "/opt/nvidia/blob")
    assert isinstance(root.read(), Missing)
    root.cache((X86_64, "libcuda.so.1", "/opt/nvidia/blob/libcuda.so.1"))
    assert root.files().library_folders == ("/opt/nvidia/blob",)


def test_the_linker_cache_decides_which_of_two_folders_comes_first(root: DriverRoot) -> None:
    driver(root, "/usr/lib64")
    driver(root, "/opt/nvidia/blob")
    assert root.files().files[0].path.startswith("/usr/lib64/")  # without a cache: the standard folder alone
    root.cache((X86_64, "libcuda.so.1", "/opt/nvidia/blob/libcuda.so.1"))
    assert root.files().files[0].path.startswith("/opt/nvidia/blob/")


@pytest.mark.parametrize("data", [b"", b"glibc-ld.so.cache1.1", b"\0" * 4096, b"ld.so-1.7.0" + b"\xff" * 99])
def test_a_broken_linker_cache_only_hides_its_folders(root: DriverRoot, data: bytes) -> None:
    driver(root)
    Path(root.place("/etc/ld.so.cache")).write_bytes(data)
    assert root.files().version == VERSION


def test_thirty_two_bit_twins(root: DriverRoot) -> None:
    driver(root)
    root.library(f"{LIB32}/libcuda.so.{VERSION}", "libcuda.so.1", bits=32)
    twins = [file.elf for file in root.files().files if file.name == f"libcuda.so.{VERSION}"]
    assert [(elf.bits, elf.cache_flags) for elf in twins if elf] == [(64, X86_64), (32, I386)]


class TestVersions:
    def test_files_of_an_older_driver_are_stale(self, root: DriverRoot) -> None:
        driver(root)
        root.library(f"{LIB}/libnvidia-ifr.so.390.157", "libnvidia-ifr.so.1")
        found = root.files()
        assert {file.name for file in found.stale} == {"libnvidia-ifr.so.390.157"}
        assert "libnvidia-ifr.so.390.157" not in names(found)

    @pytest.mark.parametrize("loaded", [None, "999.88"])
    def test_without_files_of_the_loaded_module_libcuda_decides(self, root: DriverRoot, loaded: str | None) -> None:
        driver(root)
        root.library(f"{LIB}/libnvidia-glcore.so.560.1", "libnvidia-glcore.so.560.1")
        assert root.files(loaded).version == VERSION

    def test_a_left_over_of_the_loaded_version_is_no_driver(self, root: DriverRoot) -> None:
        """The driver was upgraded, the old module is still loaded, and one file of it stayed behind."""
        driver(root)
        root.library(f"{LIB}/libnvidia-gtk3.so.535.183.01")
        found = root.files("535.183.01")
        assert found.version == VERSION
        assert {file.name for file in found.stale} == {"libnvidia-gtk3.so.535.183.01"}

    def test_both_drivers_whole_the_loaded_one_is_taken(self, root: DriverRoot) -> None:
        driver(root)
        driver(root, f"{LIB}/nvidia/current", "535.183.01")
        assert root.files("535.183.01").version == "535.183.01"

    def test_a_library_number_is_no_driver_version(self, root: DriverRoot) -> None:
        driver(root)
        root.library(f"{LIB}/libnvidia-egl-gbm.so.1.1.0", "libnvidia-egl-gbm.so.1")
        gbm = next(file for file in root.files().files if "gbm" in file.name)
        assert gbm.version is None

    def test_the_newest_of_several_when_no_link_tells(self, root: DriverRoot) -> None:
        for version in ("99.1", "470.9.01", "470.10.01"):
            write_library(root.place(f"{LIB}/libcuda.so.{version}"), "libcuda.so.1")
        assert root.files(None).version == "470.10.01"


@pytest.mark.parametrize(
    "name",
    [
        "libnvidia-container.so.1.17.4",
        "libnvidia-container-go.so.1.17.4",
        "libcudart.so.12.4.127",
        "libcuda.so.1.backup",
        "libcuda.so.1\n",
        "libnvidia-ml.a",
    ],
)
def test_other_libraries_are_not_the_drivers(root: DriverRoot, name: str) -> None:
    driver(root)
    root.library(f"{LIB}/{name}", None)
    assert len(names(root.files())) == 2


def test_the_toolkits_stubs_are_not_the_driver(root: DriverRoot) -> None:
    """Linking against stubs/libcuda.so is fine; whoever loads it gets an error for every call."""
    driver(root)
    stubs = "/usr/local/cuda/targets/x86_64-linux/lib/stubs"
    root.library(f"{stubs}/libcuda.so", "libcuda.so.1")
    root.cache((X86_64, "libcuda.so", f"{stubs}/libcuda.so"))
    assert stubs not in root.files().library_folders


class TestHostile:
    def test_things_that_are_no_library_files(self, root: DriverRoot) -> None:
        driver(root)
        os.mkfifo(root.place(f"{LIB}/libnvidia-one.so.1"))
        Path(root.place(f"{LIB}/libnvidia-empty.so.1")).touch()
        Path(root.place(f"{LIB}/libnvidia-text.so.1")).write_text("INPUT(libcuda.so.1)")
        os.mkdir(root.place(f"{LIB}/libnvidia-folder.so.1"))
        assert len(names(root.files())) == 2

    def test_a_fifo_and_empty_files_instead_of_a_driver(self, root: DriverRoot) -> None:
        """What an image layer keeps of files that were mounted: names without content."""
        os.mkfifo(root.place(f"{LIB}/libcuda.so.1"))
        Path(root.place(f"{LIB}/libnvidia-ml.so.1")).touch()
        assert isinstance(root.read(), Missing)

    def test_an_empty_program_does_not_hide_the_real_one(self, root: DriverRoot) -> None:
        driver(root)
        root.file("/usr/local/bin/nvidia-smi", "", mode=0o755)
        root.file("/usr/bin/nvidia-smi", mode=0o755)
        assert [file.path for file in root.files().files if file.role == "binary"] == ["/usr/bin/nvidia-smi"]

    def test_links_in_a_circle_and_out_of_the_root(self, root: DriverRoot, tmp_path: Path) -> None:
        driver(root)
        write_library(str(tmp_path / "libnvidia-outside.so.1"), "libnvidia-outside.so.1")
        root.link(f"{LIB}/libnvidia-a.so.1", "libnvidia-b.so.1")
        root.link(f"{LIB}/libnvidia-b.so.1", "libnvidia-a.so.1")
        root.link(f"{LIB}/libnvidia-up.so.1", "../../../../../libnvidia-outside.so.1")
        root.link(f"{LIB}/libnvidia-outside.so.1", f"{tmp_path}/libnvidia-outside.so.1")
        root.link("/usr/lib64", "/usr/lib64/again")
        assert len(names(root.files())) == 2

    def test_a_root_that_is_not_there(self, tmp_path: Path) -> None:
        assert isinstance(DriverRoot(tmp_path / "missing").read(), Missing)


def test_windows_subsystem_for_linux(root: DriverRoot) -> None:
    store = "/usr/lib/wsl/drivers/nv_dispi.inf_amd64_1"
    for name in ("libdxcore.so", "libcuda.so", "libcuda.so.1", "libcuda.so.1.1", "libnvidia-ml.so.1"):
        root.library(f"/usr/lib/wsl/lib/{name}")
    root.library(f"{store}/libcuda.so.1.1", "libcuda.so.1")
    root.file(f"{store}/nvidia-smi", mode=0o755)
    root.file("/usr/lib/wsl/lib/nvidia-smi", mode=0o755)
    root.file("/usr/lib/wsl/drivers/other.inf_amd64_2/other.dll")
    found = root.files(loaded=None)
    assert isinstance(found.version, Missing)
    assert found.store == root.folder + store
    assert {"libdxcore.so", "libcuda.so.1"} <= names(found)
    assert [file.path for file in found.files if file.role == "binary"] == [f"{store}/nvidia-smi"]


def test_a_driver_root_as_gke_has_it(root: DriverRoot) -> None:
    """/home/kubernetes/bin/nvidia: lib64, bin and vulkan side by side, named as driver root."""
    driver(root, "/lib64")
    root.file("/bin/nvidia-smi", mode=0o755)
    root.file("/vulkan/icd.d/nvidia_icd.json")
    root.file(f"/firmware/nvidia/{VERSION}/gsp_tu10x.bin")
    found = root.files()
    assert names(found, "binary") == {"nvidia-smi"}
    assert names(found, "config") == {"vulkan/icd.d/nvidia_icd.json"}
    assert names(found, "firmware") == {"gsp_tu10x.bin"}


def test_firmware_is_taken_where_the_kernel_finds_it_first(root: DriverRoot) -> None:
    driver(root)
    for place in ("/lib/firmware", "/lib/firmware/6.1.0", "/lib/firmware/updates", "/lib/firmware/updates/6.1.0"):
        root.file(f"{place}/nvidia/{VERSION}/gsp_ga10x.bin", place)
        root.file(f"{place}/nvidia/535.1/gsp_ga10x.bin")
    taken = []
    for _ in range(4):
        (firmware,) = [f for f in root.files(kernel="6.1.0").files if f.role == "firmware"]
        taken.append(firmware.path.partition("/nvidia/")[0])
        os.unlink(firmware.host)
    assert taken == ["/lib/firmware/updates/6.1.0", "/lib/firmware/updates", "/lib/firmware/6.1.0", "/lib/firmware"]


class TestSockets:
    def test_services_are_given_as_folders(self, root: DriverRoot) -> None:
        driver(root)
        for service in ("nvidia-persistenced", "nvidia-fabricmanager"):
            with socket.socket(socket.AF_UNIX) as listener:
                here = os.getcwd()
                os.chdir(os.path.dirname(root.place(f"/run/{service}/socket")))  # 107 bytes are all a name may have
                try:
                    listener.bind("socket")
                finally:
                    os.chdir(here)
        root.file("/etc/cufile.json")
        found = {item.path: item for item in root.files().sockets}
        assert set(found) == {"/run/nvidia-persistenced", "/run/nvidia-fabricmanager", "/etc/cufile.json"}
        assert found["/run/nvidia-fabricmanager"].host == f"{root.folder}/run/nvidia-fabricmanager"
        assert found["/run/nvidia-fabricmanager"].is_folder
        assert not found["/etc/cufile.json"].is_folder

    def test_a_file_is_no_socket(self, root: DriverRoot) -> None:
        driver(root)
        root.file("/run/nvidia-persistenced/socket")
        root.file("/tmp/nvidia-mps")
        assert root.files().sockets == ()

    def test_the_mps_folder(self, root: DriverRoot) -> None:
        driver(root)
        os.makedirs(root.place("/tmp/nvidia-mps/x"))
        (mps,) = root.files().sockets
        assert (mps.path, mps.host, mps.is_folder) == ("/tmp/nvidia-mps", f"{root.folder}/tmp/nvidia-mps", True)

    def test_a_link_instead_of_the_mps_folder_gives_nothing(self, root: DriverRoot) -> None:
        """Anybody may make /tmp/nvidia-mps -> /, and root's containers would get that, writable."""
        driver(root)
        root.link("/tmp/nvidia-mps", "/usr")
        assert root.files().sockets == ()

    @pytest.mark.parametrize(
        ("named", "expected"),
        [
            ("/run/mps", "/run/mps"),
            ("//run/x/../mps/", "/run/mps"),
            ("/dev/shm/mps", "/dev/shm/mps"),
            ("run/mps", None),
            ("/run/without", None),  # every container could write there
            ("/run/link", None),
            ("/run/link/", None),
            ("/run/led/x", None),
            ("/", None),
            ("/etc", None),
            ("/etc/mps", None),
            ("/usr/local", None),
            ("/dev", None),
            ("/run", None),
            ("/nowhere", None),
        ],
    )
    def test_the_mps_folder_that_the_environment_names(
        self, root: DriverRoot, monkeypatch: pytest.MonkeyPatch, named: str, expected: str | None
    ) -> None:
        """Containers get it writable: it has to be one of MPS, and none of the system's folders."""
        driver(root)
        for folder in ("/run/mps", "/run/x", "/dev/shm/mps", "", "/etc", "/etc/mps", "/usr/local", "/dev", "/run"):
            os.mkfifo(root.place(f"{folder}/control"))
        root.file("/run/without/control", "no pipe")
        root.link("/run/link", "mps")
        os.makedirs(root.place("/usr/local/x/y"))
        os.mkfifo(root.place("/usr/local/x/control"))
        root.link("/run/led", "/usr/local")
        monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", named)
        assert [item.path for item in root.files().sockets] == ([expected] if expected else [])


def test_the_volume_of_a_real_h200_host(root: DriverRoot) -> None:
    """Every library, binary and file of the listing, from its names and links alone."""
    for row in h200.listing():
        if row.kind == "l":
            root.link(row.path, row.link or "")
        elif row.kind == "-" and ".so" in row.path:
            write_library(root.place(row.path), os.path.basename(row.path), mode=row.mode)
        elif row.kind == "-":
            root.file(row.path, mode=row.mode)
    root.cache(*((X86_64, name, path) for name, path in h200.cached()))
    found = root.files(h200.VERSION)
    listed = {row.path for row in h200.listing() if row.kind == "-"}
    unused = {path for path in listed if "/glibc/" in path or "/modules/" in path or "/etc/" in path}
    unused |= {"/usr/local/nvidia/version", "/usr/local/nvidia/kernel.release"}
    assert {file.path for file in found.files} == listed - unused
    assert found.stale == ()
    cuda = next(file for file in found.files if file.name.startswith("libcuda.so"))
    assert cuda.links == ("libcuda.so", "libcuda.so.1")


def test_a_script_in_front_of_a_program_is_not_the_program(root: DriverRoot) -> None:
    driver(root)
    for path, text in (("/usr/bin/nvidia-smi", "#!/bin/sh\n"), ("/usr/local/nvidia/bin/nvidia-smi", "\x7fELF")):
        Path(root.place(path)).write_text(text)
    assert [file.path for file in root.files().files if file.role == "binary"] == ["/usr/local/nvidia/bin/nvidia-smi"]
    os.unlink(root.place("/usr/local/nvidia/bin/nvidia-smi"))
    assert [file.path for file in root.files().files if file.role == "binary"] == ["/usr/bin/nvidia-smi"]
