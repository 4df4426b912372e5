"""How a machine is set up, read from folders that stand for one."""

import json
import socket
from pathlib import Path

import pytest

from gpudock.facts.base import Missing
from gpudock.facts.setup import Context, DaemonJson, Dockerd, Setup, SubIds, Xid
from gpudock.facts.snapshot import Roots
from gpudock.host import codec, nvml_turn, snapshot
from gpudock.host.root import Root
from gpudock.host.setup import disks, docker, kernel, programs, specs, users
from gpudock.host.surroundings import Surroundings
from gpudock.proc import Result
from unit import h200
from unit.recorded import Recorder, fill

EFI = "/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


def around(root: Root, **environment: str) -> Surroundings:
    return Surroundings(root, Root(root.folder + "/proc"), environment, rootless=False)


@pytest.mark.parametrize(
    ("files", "expected"),
    [({}, False), ({"/firmware/efi/x": ""}, False), ({EFI: b"\6\0\0\0\1"}, True), ({EFI: b"\6\0\0\0\0"}, False)],
)
def test_secure_boot(tmp_path: Path, files: dict[str, str | bytes], expected: bool) -> None:
    assert kernel.secure_boot(fill(tmp_path, files)) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("updates/dkms/nvidia.ko.zst: kernel/x.ko\n", True),
        ("updates/dkms/nvidia-current.ko:\n", True),
        ("kernel/drivers/gpu/drm/nouveau/nouveau.ko: a\nkernel/nvidia-wmi-ec-backlight.ko:\n", False),
    ],
)
def test_whether_a_module_is_built_for_the_running_kernel(tmp_path: Path, text: str, expected: bool) -> None:
    root = fill(tmp_path, {"/lib/modules/6.8.0-45/modules.dep": text})
    assert kernel.module_built(root, "6.8.0-45") is expected
    assert isinstance(kernel.module_built(root, "6.8.0-46"), Missing)


def test_services_by_the_kernels_short_names(tmp_path: Path) -> None:
    names = {"7": "nv-fabricmanage", "8": "nvidia-persiste", "9": "bash", "10": "dockerd"}
    proc = fill(tmp_path, {f"/{pid}/comm": f"{name}\n" for pid, name in names.items()})
    assert kernel.services(proc) == ("dockerd", "nv-fabricmanager", "nvidia-persistenced")


def test_xids_are_counted(tmp_path: Path) -> None:
    log = tmp_path / "kmsg"
    log.write_text(
        "4,1,1,-;NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.\n"
    )
    assert kernel.xids(str(log)) == (Xid(code=79, bus_id="0000:3b:00", count=1),)
    assert isinstance(kernel.xids(str(tmp_path / "none")), Missing)


def test_daemon_json_without_secrets(tmp_path: Path) -> None:
    told = {
        "runtimes": {"nvidia": {"path": "/usr/bin/gone", "runtimeArgs": []}, "x": {"path": "runsc"}},
        "default-runtime": "nvidia",
        "exec-opts": ["native.cgroupdriver=systemd"],
        "features": {"cdi": True},
        "log-opts": {"splunk-token": "hush"},
        "userns-remap": "anna",
    }
    root = fill(tmp_path, {"/etc/docker/daemon.json": json.dumps(told)})
    (found,) = docker.files(around(root), ["/etc/docker/daemon.json"])
    assert found == DaemonJson(
        path="/etc/docker/daemon.json",
        keys=tuple(told),
        runtimes={"nvidia": "/usr/bin/gone", "x": "runsc"},
        missing_programs=("/usr/bin/gone",),
        default_runtime="nvidia",
        userns_remap="anna",
        cgroup_driver="systemd",
        cdi=True,
    )


@pytest.mark.parametrize("text", ["", "{", "[]", '{"runtimes": 5}'])
def test_a_broken_daemon_json_says_why(tmp_path: Path, text: str) -> None:
    root = fill(tmp_path, {"/etc/docker/daemon.json": text})
    (found,) = docker.files(around(root), [])
    assert found.error


def test_the_running_daemon(tmp_path: Path) -> None:
    stat = "77 (docker d) S " + " ".join(["0"] * 18) + " 1200 0"
    root = fill(
        tmp_path,
        {
            "/77/comm": "dockerd\n",
            "/77/stat": stat,
            "/77/cmdline": "/usr/bin/dockerd\0-H\0fd://\0--data-root=/x\0--debug\0",
            "/77/environ": "PATH=/bin\0HTTPS_PROXY=http://user:pw@proxy\0",
            "/stat": "cpu 1\nbtime 1700000000\n",
        },
    )
    assert docker.daemon(root) == Dockerd(started=1700000012, flags=("data-root", "debug"), proxies=("HTTPS_PROXY",))
    assert docker.daemon(fill(tmp_path / "none", {})) is None


def test_contexts_without_credentials(tmp_path: Path) -> None:
    meta = {"Name": "lab", "Endpoints": {"docker": {"Host": "ssh://anna:pw@gpu7"}}}
    root = fill(
        tmp_path,
        {
            "/home/anna/.docker/config.json": '{"currentContext": "lab"}',
            "/home/anna/.docker/contexts/meta/a/meta.json": json.dumps(meta),
            "/home/anna/.docker/contexts/meta/b/meta.json": "broken",
        },
    )
    found = docker.contexts(around(root, HOME="/home/anna"))
    assert found == (Context(name="lab", address="ssh://gpu7", current=True),)
    (other,) = docker.contexts(around(root, HOME="/home/anna", DOCKER_HOST="tcp://x"))
    assert not other.current


def test_mirrors_are_tried() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        good, gone, none = docker.mirrors([f"http://127.0.0.1:{port}/", "http://127.0.0.1:1/", "http://[/"])
    assert (good.problem, gone.problem, none.problem) == (None, "Connection refused", "it is no address")


def test_groups_and_subordinate_ids(tmp_path: Path) -> None:
    root = fill(
        tmp_path,
        {
            "/etc/group": "root:x:0:\ndocker:x:999:anna,bela\n",
            "/etc/subuid": "anna:100000:65536\nanna:400000:10\n",
            "/etc/subgid": "anna:100000:65536\nbroken\n",
        },
    )
    assert users.docker_group(root) == ("anna", "bela")
    assert users.subids(root, ["anna", "bela"]) == (SubIds(user="anna", uids=65546, gids=65536), SubIds(user="bela"))
    assert isinstance(users.docker_group(fill(tmp_path / "none", {})), Missing)


def test_the_toolkits_configuration(tmp_path: Path) -> None:
    text = (
        "accept-nvidia-visible-devices-envvar-when-unprivileged = false\n"
        '[nvidia-container-cli]\nroot = "/run/nvidia/driver"\nno-cgroups = true\n'
        '[nvidia-container-runtime]\nmode = "legacy"\n'
    )
    root = fill(tmp_path, {programs.CONFIG: text})
    told = programs.toolkit(root, "x86_64")
    assert not isinstance(told, Missing)
    assert (told.mode, told.no_cgroups, told.root, told.library, told.accept_envvar) == (
        *("legacy", True, "/run/nvidia/driver"),
        *(False, False),
    )
    fill(tmp_path, {"/run/nvidia/driver/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1": ""})
    again = programs.toolkit(root, "x86_64")
    assert not isinstance(again, Missing)
    assert again.library
    broken = programs.toolkit(fill(tmp_path / "b", {programs.CONFIG: "<<<<"}), "x86_64")
    assert not isinstance(broken, Missing)
    assert broken.error


def test_programs_of_daemons(tmp_path: Path) -> None:
    root = fill(tmp_path, {"/usr/bin/runc": "", "/usr/bin/nvidia-ctk": ""})
    run = Recorder({("runc", "--version"): "runc version 1.1.5+ds1\ncommit: x\n"})
    found = {each.name: each.version for each in programs.found(root, run)}
    assert found == {"nvidia-ctk": Missing("not asked"), "runc": "1.1.5+ds1"}


def test_a_linker_that_does_not_run() -> None:
    assert programs.ldconfig(Recorder({("ldconfig",): "ldconfig (GNU libc)", ("ldconfig.real",): "x"})) is None
    broken = Result(-9, "", "")
    assert programs.ldconfig(Recorder({("ldconfig",): broken, ("ldconfig.real",): broken})) == "it ended with -9"


def test_disks_with_what_their_mount_forbids(tmp_path: Path) -> None:
    root = fill(tmp_path, {"/var/lib/docker/x": "", "/proc/self/mountinfo": ""})
    lines = (
        "1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/vda rw",
        "2 1 8:2 / /var/lib rw,noexec,nosuid - xfs /dev/vdb rw",
        "3 1 8:3 / /var/lib/dockerx rw,ro - xfs /dev/vdc rw",
    )
    fill(tmp_path, {"/proc/self/mountinfo": "\n".join(lines) + "\n"})
    (disk,) = disks.of(root, Root(root.folder + "/proc"), {"docker": "/var/lib/docker", "podman": "/none"})
    assert (disk.file_system, disk.options, disk.use) == ("xfs", ("noexec", "nosuid"), "docker")
    assert disk.size > disk.free > 0


@pytest.mark.parametrize(
    ("files", "services", "expected"),
    [
        ({"/run/systemd/timesync/synchronized": ""}, ("systemd-timesyncd",), True),
        ({}, ("systemd-timesyncd",), False),
        ({}, ("chronyd",), True),
        ({}, (), Missing("no service that sets the clock is known here")),
    ],
)
def test_the_clock(tmp_path: Path, files: dict[str, str], services: tuple[str, ...], expected: object) -> None:
    assert disks.clock(fill(tmp_path, files), services).synchronised == expected


def test_a_specification_held_against_the_machine(tmp_path: Path) -> None:
    edits = {
        "deviceNodes": [{"path": "/dev/null", "major": 1, "minor": 9}, {"path": "/dev/gone"}],
        "mounts": [
            {"hostPath": "/usr/lib/libcuda.so.580.95.05", "containerPath": "/usr/lib/x/libcuda.so.580.95.05"},
            {"hostPath": "/run/here", "containerPath": "/run/nvidia-persistenced/socket"},
        ],
        "hooks": [
            {"hookName": "createContainer", "path": "/usr/bin/nvidia-cdi-hook", "args": ["nvidia-cdi-hook", "chmod"]}
        ],
    }
    spec = {"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [{"name": "0", "containerEdits": edits}]}
    root = fill(tmp_path, {"/etc/cdi/nvidia.json": json.dumps(spec), "/run/here": ""})
    state = specs.state(root, "/etc/cdi/nvidia.json", "nvidia.com/gpu")
    assert state is not None
    assert state.nodes == ("/dev/gone", "/dev/null")
    assert state.wrong_nodes == ("/dev/gone is no device node", "/dev/null is no device node")
    assert state.missing == ("/usr/bin/nvidia-cdi-hook", "/usr/lib/libcuda.so.580.95.05")
    assert state.drivers == ("580.95.05",)
    assert (state.hooks, state.folders, state.sockets) == (
        ("chmod",),
        ("/usr/lib/x",),
        ("/run/nvidia-persistenced/socket",),
    )
    assert specs.state(root, "/etc/cdi/nvidia.json", "nvidia.com/mofed") is None
    assert specs.state(root, "/etc/cdi/none.json", "nvidia.com/gpu") is None


@pytest.mark.parametrize("text", ["", "[", "[]", "a: &a [*a]", '{"kind": "nvidia.com/gpu", "devices": 5}', "{" * 5000])
def test_hostile_specifications(tmp_path: Path, text: str) -> None:
    root = fill(tmp_path, {"/etc/cdi/x.yaml": text})
    state = specs.state(root, "/etc/cdi/x.yaml", "nvidia.com/gpu")
    assert state is None or (state.devices, state.nodes) == (0, ())


def test_a_real_node_with_other_numbers() -> None:
    edits = {"deviceNodes": [{"path": "/dev/null", "major": 1, "minor": 9}]}
    wrong = specs._wrong(Root("/"), "/dev/null", edits["deviceNodes"][0])
    assert wrong == "/dev/null is 1:3, the specification says 1:9"


def test_the_whole_of_it_comes_back_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "machine"
    h200.folder(folder)
    spec = {"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [{"name": "0", "containerEdits": {}}]}
    fill(
        folder,
        {"/etc/cdi/x.json": json.dumps(spec), "/proc/stat": "btime 1\n", "/proc/sys/kernel/osrelease": "6.8.0\n"},
    )
    monkeypatch.setattr(nvml_turn, "folder", lambda: str(tmp_path / "turn"))
    monkeypatch.setenv("HOME", "/home/anna")
    monkeypatch.setenv("https_proxy", "http://anna:pw@proxy")
    root = str(folder)
    roots = Roots(driver=root, dev=root, proc=root + "/proc", sys=root + "/sys")
    taken = snapshot.take(roots, run=Recorder({}), engines=False, packages=False, setup=True)
    assert codec.decode(codec.encode(taken)) == taken
    assert isinstance(taken.setup, Setup)
    assert [state.path for state in taken.setup.specs] == ["/etc/cdi/x.json"]
    assert taken.setup.caller is not None
    assert taken.setup.caller.proxies == ("https_proxy",)
    assert b"anna:pw" not in codec.encode(taken)
