"""Snapshot -> start plan: what is compiled, and each reason why nothing is."""

import json
from pathlib import Path

import msgspec
import pytest

from gpudock.facts.base import Missing
from gpudock.facts.driver import DriverFiles, Socket
from gpudock.facts.gpu import Capability, DeviceNode
from gpudock.facts.snapshot import Snapshot
from gpudock.gpu.compile import USUAL, compile_plan
from gpudock.gpu.devices import DriverProblemError
from gpudock.plan import capabilities, reader
from gpudock.plan.document import MOUNT_POINT, Node, Plan
from unit.machines import VERSION, node, snapshot, whole

TREES = "/var/lib/gpudock/driver"


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> DriverFiles:
    return whole(tmp_path_factory.mktemp("host")).files()


def plan_of(machine: Snapshot, **changes: object) -> Plan:
    return compile_plan(machine, trees=TREES, **changes).plan  # type: ignore[arg-type]


def changed(machine: Snapshot, **fields: object) -> Snapshot:
    return msgspec.structs.replace(machine, **fields)


def paths(nodes: list[Node]) -> list[str]:
    return [each["path"] for each in nodes]


def test_a_plan_is_what_the_reader_takes(driver: DriverFiles) -> None:
    for machine in (
        snapshot(driver),
        snapshot(driver, gpus=1, mig={0: 3}),
        snapshot(driver, wsl=True),
        snapshot(driver, nodes=(node("/dev/nvidia-caps-imex-channels/channel0", 238, 0),)),
    ):
        made = plan_of(machine)
        assert reader.check(json.loads(json.dumps(made))) == made
        assert made == plan_of(machine)


def test_what_the_machine_is(driver: DriverFiles) -> None:
    made = plan_of(snapshot(driver), library_links=True)
    assert (made["driver"], made["cuda"], made["wsl"], made["simulated"]) == (VERSION, "12.4", False, False)
    assert made["library_links"] is True
    first = made["gpus"][0]
    assert (first["index"], first["minor"], first["brand"], first["arch"]) == (0, 0, "nvidia", "9.0")
    assert paths(first["nodes"]) == ["/dev/nvidia0"]
    assert paths(first["drm"]) == ["/dev/dri/renderD128"]


def test_what_could_not_be_read_is_empty_and_not_guessed(driver: DriverFiles) -> None:
    machine = snapshot(driver, gpus=1)
    unknown = Missing("NVML timed out")
    gpu = msgspec.structs.replace(machine.gpus[0], name=unknown, brand=unknown, compute_capability=unknown, mig=unknown)
    made = plan_of(changed(machine, nvml=unknown, gpus=(gpu,)))
    assert made["cuda"] == ""
    assert [made["gpus"][0][field] for field in ("name", "brand", "arch")] == ["", "", ""]
    assert made["gpus"][0]["mig"] is False


class TestVariants:
    def test_the_usual_ones_and_those_asked_for(self, driver: DriverFiles) -> None:
        made = compile_plan(snapshot(driver), trees=TREES, wanted=(*USUAL, ("ngx",)))
        labels = {capabilities.label(names) for names in (*USUAL, ("ngx",))}
        assert set(made.plan["variants"]) == set(made.contents) == labels
        for label, variant in made.plan["variants"].items():
            assert variant["folder"] == f"{TREES}/{made.generation}/{label}"
            assert variant["mounts"][0]["host"] == variant["folder"]
            assert variant["mounts"][0]["container"] == MOUNT_POINT
            assert "ro" in variant["mounts"][0]["options"]

    @pytest.mark.parametrize(
        ("names", "nodes", "drm"),
        [
            (("utility",), ["/dev/nvidiactl"], False),
            (("compute", "utility"), ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"], False),
            (("compute", "utility", "video"), ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"], False),
            (
                ("compute", "graphics", "utility"),
                ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset"],
                True,
            ),
        ],
    )
    def test_control_nodes(self, driver: DriverFiles, names: tuple[str, ...], nodes: list[str], drm: bool) -> None:
        variant = plan_of(snapshot(driver))["variants"][capabilities.label(names)]
        assert paths(variant["nodes"]) == nodes
        assert variant["drm"] is drm

    def test_firmware_is_mounted_where_the_driver_looks(self, driver: DriverFiles) -> None:
        for variant in plan_of(snapshot(driver))["variants"].values():
            firmware = variant["mounts"][1]
            assert firmware["container"] == f"/lib/firmware/nvidia/{VERSION}"
            assert firmware["host"] == f"{variant['folder']}/firmware"

    def test_sockets_by_capability(self, driver: DriverFiles) -> None:
        sockets = ("/run/nvidia-persistenced", "/run/nvidia-fabricmanager", "/tmp/nvidia-mps", "/run/udev")
        live = tuple(Socket(path=path, host="/host" + path, is_folder=True) for path in sockets)
        made = plan_of(snapshot(msgspec.structs.replace(driver, sockets=live)))

        def mounted(*names: str) -> dict[str, list[str]]:
            mounts = made["variants"][capabilities.label(names)]["mounts"][2:]
            assert all(mount["host"] == "/host" + mount["container"] for mount in mounts)
            return {mount["container"]: mount["options"] for mount in mounts}

        assert set(mounted("utility")) == {"/run/nvidia-persistenced", "/run/nvidia-fabricmanager"}
        assert set(mounted("compute", "utility")) == {*sockets[:3]}  # udev goes with GPUDirect Storage only
        assert "ro" in mounted("utility")["/run/nvidia-persistenced"]
        assert "ro" not in mounted("compute", "utility")["/tmp/nvidia-mps"]  # clients write into it
        assert all({"nosuid", "nodev", "noexec"} <= set(options) for options in mounted(*capabilities.ALL).values())


class TestMig:
    def test_instances_carry_their_parent_and_their_rights(self, driver: DriverFiles) -> None:
        made = plan_of(snapshot(driver, mig={1: 2}))
        whole_gpu, divided = made["gpus"]
        assert (whole_gpu["mig"], whole_gpu["instances"]) == (False, [])
        assert divided["mig"] is True
        assert [paths(instance["nodes"]) for instance in divided["instances"]] == [
            ["/dev/nvidia1", "/dev/nvidia-caps/nvidia-cap12", "/dev/nvidia-caps/nvidia-cap21"],
            ["/dev/nvidia1", "/dev/nvidia-caps/nvidia-cap30", "/dev/nvidia-caps/nvidia-cap39"],
        ]
        assert made["key"]["mig_minors"] == {
            "gpu1/gi1/access": 12,
            "gpu1/gi1/ci0/access": 21,
            "gpu1/gi2/access": 30,
            "gpu1/gi2/ci0/access": 39,
        }

    def test_rights_are_named_by_the_minor_not_by_the_index(self, driver: DriverFiles) -> None:
        machine = snapshot(driver, gpus=2, mig={1: 1})
        divided = msgspec.structs.replace(machine.gpus[1], index=0)
        made = plan_of(changed(machine, gpus=(divided,)))
        assert set(made["key"]["mig_minors"]) == {"gpu1/gi1/access", "gpu1/gi1/ci0/access"}

    @pytest.mark.parametrize(("profile", "drm"), [("1g.18gb", []), ("1g.24gb+gfx", ["/dev/dri/renderD128"])])
    def test_drm_nodes_only_with_a_graphics_profile(self, driver: DriverFiles, profile: str, drm: list[str]) -> None:
        machine = snapshot(driver, gpus=1, mig={0: 1})
        gpu = machine.gpus[0]
        instances = tuple(msgspec.structs.replace(instance, profile=profile) for instance in gpu.instances)
        made = plan_of(changed(machine, gpus=(msgspec.structs.replace(gpu, instances=instances),)))
        assert paths(made["gpus"][0]["instances"][0]["drm"]) == drm


def test_the_key_is_what_container_start_can_check(driver: DriverFiles) -> None:
    key = plan_of(snapshot(driver))["key"]
    assert key["boot_id"].startswith("0f0e")
    assert key["module"] == VERSION
    assert key["gpus"]["0000:07:00.0"][0] == "1"


def test_the_key_names_the_files_of_the_tree_and_not_those_of_the_host(driver: DriverFiles) -> None:
    made = plan_of(snapshot(driver))
    files = {file["host"]: file for file in made["key"]["files"]}
    cuda = next(file for file in driver.files if file.name == f"libcuda.so.{VERSION}")
    path = f"{made['variants']['all']['folder']}/lib64/{cuda.name}"
    assert files[path] == {"host": path, "size": cuda.size, "mtime_ns": cuda.mtime_ns}
    assert not any(path.endswith(".json") for path in files)  # rewritten where the host's names a folder
    assert len(files) > 10


def test_the_key_holds_only_the_numbers_that_containers_with_gpus_depend_on(driver: DriverFiles) -> None:
    """gdrdrv loaded again with another number must not stop every GPU container."""
    machine = snapshot(driver, nodes=TestExtras.EVERYTHING)
    majors = {"nvidia": 195, "nvidia-modeset": 195, "nvidia-uvm": 510, "nvidia-caps": 237, "gdrdrv": 501}
    kernel = msgspec.structs.replace(machine.kernel_driver, majors=majors)
    assert plan_of(changed(machine, kernel_driver=kernel))["key"]["majors"] == {"nvidia": 195, "nvidia-uvm": 510}
    divided = plan_of(snapshot(driver, mig={0: 1}))["key"]["majors"]
    assert divided == {"nvidia": 195, "nvidia-uvm": 510, "nvidia-caps": 237}


def test_windows_subsystem_for_linux(driver: DriverFiles) -> None:
    store = "/usr/lib/wsl/drivers/nv_1"
    made = plan_of(snapshot(msgspec.structs.replace(driver, store=store, version=Missing("no name")), wsl=True))
    assert made["wsl"] is True
    assert made["gpus"][0]["nodes"] == []
    for variant in made["variants"].values():
        assert paths(variant["nodes"]) == ["/dev/dxg"]
        assert variant["mounts"][-1] == {
            "host": store,
            "container": store,
            "options": ["ro", "nosuid", "nodev", "rbind", "rprivate"],
        }
    assert (made["key"]["module"], made["key"]["gpus"]) == (
        "",
        {},
    )  # there is no /proc/driver/nvidia to check them with


class TestExtras:
    EVERYTHING = (
        *(node(f"/dev/nvidia-caps-imex-channels/channel{number}", 238, number) for number in (0, 2, 10)),
        node("/dev/nvidia-fs0", 500, 0),
        node("/dev/infiniband/uverbs0", 231, 192),
        node("/dev/infiniband/rdma_cm", 10, 60),
        node("/dev/gdrdrv", 501, 0),
        node("/dev/nvidia-nvswitchctl", 239, 255),
        node("/dev/nvidia-nvswitch0", 239, 0),
        node("/dev/nvidia-nvlink", 240, 0),
        node("/dev/nvidia-caps/nvidia-cap1", 237, 1, 0o400),
        node("/dev/nvidia-caps/nvidia-cap2", 237, 2, 0o444),
    )

    def extras(self, driver: DriverFiles, *nodes: DeviceNode) -> dict[str, dict[str, list[str]]]:
        machine = snapshot(driver, nodes=nodes)
        rights = (Capability(name="config", minor=1), Capability(name="monitor", minor=2))
        kernel = msgspec.structs.replace(machine.kernel_driver, capabilities=rights)
        made = plan_of(changed(machine, kernel_driver=kernel))["extras"]
        return {
            name: {device: paths(nodes) for device, nodes in extra["nodes"].items()} for name, extra in made.items()
        }

    def test_what_is_not_there_is_absent(self, driver: DriverFiles) -> None:
        assert set(self.extras(driver)) == {"management"}

    def test_all_of_them(self, driver: DriverFiles) -> None:
        found = self.extras(driver, *self.EVERYTHING)
        channel = "/dev/nvidia-caps-imex-channels/channel"
        assert found["imex"] == {
            "0": [channel + "0"],
            "2": [channel + "2"],
            "10": [channel + "10"],
            "all": [channel + "0", channel + "2", channel + "10"],
        }
        assert list(found["imex"]) == ["0", "2", "10", "all"]
        assert found["gds"]["all"] == ["/dev/nvidia-fs0"]
        assert found["mofed"]["all"] == ["/dev/infiniband/rdma_cm", "/dev/infiniband/uverbs0"]
        assert found["gdrcopy"]["all"] == ["/dev/gdrdrv"]
        assert found["nvswitch"]["all"] == ["/dev/nvidia-nvswitch0", "/dev/nvidia-nvswitchctl"]
        assert found["mig-config"]["all"] == ["/dev/nvidia-caps/nvidia-cap1"]
        assert found["mig-monitor"]["all"] == ["/dev/nvidia-caps/nvidia-cap2"]

    def test_nodes_of_a_former_number_are_left_out(self, driver: DriverFiles) -> None:
        """/dev/gdrdrv 501:0 leads to nvidia-uvm when that has got 501 since."""
        channels = ("channel0", "channelX", "channel")
        machine = snapshot(
            driver,
            nodes=(
                node("/dev/gdrdrv", 501, 0),
                node("/dev/nvidia-nvswitchctl", 239, 255),
                node("/dev/nvidia-caps/nvidia-cap1", 236, 1),
                node("/dev/nvidia7", 194, 7),
                node("/dev/nvidia-fs0", 510, 0),  # no such driver is loaded, and nvidia-uvm has its number
                *(node(f"/dev/nvidia-caps-imex-channels/{name}", 238, 0) for name in channels),
            ),
        )
        kernel = msgspec.structs.replace(
            machine.kernel_driver,
            majors={**machine.kernel_driver.majors, "gdrdrv": 502, "nvidia-nvswitch": 239},
            capabilities=(Capability(name="config", minor=1),),
        )
        found = plan_of(changed(machine, kernel_driver=kernel))["extras"]
        assert set(found) == {"nvswitch", "imex", "management"}
        assert list(found["imex"]["nodes"]) == ["0", "all"]
        managed = paths(found["management"]["nodes"]["all"])
        assert "/dev/nvidia0" in managed
        assert not {"/dev/nvidia7", "/dev/nvidia-caps/nvidia-cap1"} & set(managed)

    def test_management_is_every_node_of_the_driver_itself(self, driver: DriverFiles) -> None:
        managed = self.extras(driver, *self.EVERYTHING)["management"]["all"]
        assert {"/dev/nvidia0", "/dev/nvidia1", "/dev/nvidiactl", "/dev/nvidia-modeset", "/dev/nvidia-uvm"} <= set(
            managed
        )
        assert {"/dev/nvidia-caps/nvidia-cap1", "/dev/nvidia-caps-imex-channels/channel10"} <= set(managed)
        assert not any(
            word in path for path in managed for word in ("nvidia-fs", "nvswitch", "nvlink", "dri", "infini")
        )

    def test_storage_brings_its_configuration(self, driver: DriverFiles) -> None:
        live = (
            Socket(path="/etc/cufile.json", host="/host/etc/cufile.json"),
            Socket(path="/run/udev", host="/run/udev"),
        )
        machine = snapshot(msgspec.structs.replace(driver, sockets=live), nodes=self.EVERYTHING)
        made = plan_of(machine)
        assert [mount["container"] for mount in made["extras"]["gds"]["mounts"]] == ["/etc/cufile.json", "/run/udev"]
        assert all("ro" in mount["options"] for mount in made["extras"]["gds"]["mounts"])


class TestProblems:
    """Each says what is wrong, why, and how to mend it."""

    def problem(self, machine: Snapshot) -> DriverProblemError:
        with pytest.raises(DriverProblemError) as caught:
            compile_plan(machine, trees=TREES)
        error = caught.value
        assert error.what
        assert error.why
        assert error.mend
        assert error.exit_code == 4
        return error

    def test_no_driver(self) -> None:
        assert "No NVIDIA driver" in self.problem(snapshot(Missing("no libcuda.so below /"))).what

    def test_no_module(self, driver: DriverFiles) -> None:
        machine = snapshot(driver)
        kernel = msgspec.structs.replace(machine.kernel_driver, version=Missing("not loaded"))
        assert "not loaded" in self.problem(changed(machine, kernel_driver=kernel)).what

    def test_module_and_libraries_differ(self, driver: DriverFiles) -> None:
        machine = snapshot(driver)
        kernel = msgspec.structs.replace(machine.kernel_driver, version="535.183.01")
        error = self.problem(changed(machine, kernel_driver=kernel))
        assert VERSION in error.what
        assert "535.183.01" in error.what

    @pytest.mark.parametrize("reason", ["NVML did not answer for 5 s", None])
    def test_no_gpu(self, driver: DriverFiles, reason: str | None) -> None:
        machine = snapshot(driver, gpus=0)
        if reason:
            machine = changed(machine, nvml=Missing(reason))
        error = self.problem(machine)
        assert "no usable NVIDIA GPU" in error.what
        assert reason is None or reason in error.why

    @pytest.mark.parametrize("path", ["/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidiactl", "/dev/nvidia1"])
    def test_a_node_of_a_former_number(self, driver: DriverFiles, path: str) -> None:
        machine = snapshot(driver)
        nodes = tuple(
            msgspec.structs.replace(each, major=each.major - 1) if each.path == path else each for each in machine.nodes
        )
        error = self.problem(changed(machine, nodes=nodes))
        assert error.what.startswith(f"{path} was made for another device number ")
        assert "sudo nvidia-modprobe -c 0 -u" in error.mend

    @pytest.mark.parametrize("majors", [{"nvidia-frontend": 195, "nvidia-uvm": 510}, {}])
    def test_older_names_and_no_answer_are_no_problem(self, driver: DriverFiles, majors: dict[str, int]) -> None:
        machine = snapshot(driver)
        kernel = msgspec.structs.replace(machine.kernel_driver, majors=majors)
        assert plan_of(changed(machine, kernel_driver=kernel))["key"]["majors"] == majors

    def test_no_device_node(self, driver: DriverFiles) -> None:
        machine = snapshot(driver)
        nodes = tuple(each for each in machine.nodes if each.path != "/dev/nvidia1")
        assert "/dev/nvidia1" in self.problem(changed(machine, nodes=nodes)).what

    @pytest.mark.parametrize("missing", ["node", "right"])
    def test_no_capability_of_a_mig_device(self, driver: DriverFiles, missing: str) -> None:
        machine = snapshot(driver, gpus=1, mig={0: 2})
        if missing == "node":
            nodes = tuple(each for each in machine.nodes if each.path != "/dev/nvidia-caps/nvidia-cap30")
            machine = changed(machine, nodes=nodes)
        else:
            rights = tuple(each for each in machine.kernel_driver.capabilities if each.minor != 30)
            kernel = msgspec.structs.replace(machine.kernel_driver, capabilities=rights)
            machine = changed(machine, kernel_driver=kernel)
        error = self.problem(machine)
        assert "0:1" in error.what
        assert "gpu0/gi2/access" in error.what


def test_the_trees_folder_is_the_callers(driver: DriverFiles, tmp_path: Path) -> None:
    made = compile_plan(snapshot(driver), trees=str(tmp_path))
    assert all(variant["folder"].startswith(f"{tmp_path}/") for variant in made.plan["variants"].values())
