"""Device nodes that matter to containers, out of listings of real and composed /dev folders."""

from pathlib import Path

from gpudock.facts.gpu import DeviceNode
from gpudock.host import devices
from gpudock.host.root import Root
from unit import h200
from unit.recorded import ListedDevices, fill

DGX = """\
/dev:
crw-rw-rw-  1 root root 195,   0 Nov 22 03:33 nvidia0
crw-rw-rw-  1 root root 195,   1 Nov 22 03:33 nvidia1
crw-rw-rw-  1 root root 195,  10 Nov 22 03:33 nvidia10
crw-rw-rw-  1 root root 195,   2 Nov 22 03:33 nvidia2
crw-rw-rw-  1 root root 195, 255 Nov 22 03:33 nvidiactl
crw-rw-rw-  1 root root 195, 254 Nov 22 03:33 nvidia-modeset
crw-rw-rw-  1 root root 511,   0 Nov 22 03:33 nvidia-uvm
crw-rw-rw-  1 root root 511,   1 Nov 22 03:33 nvidia-uvm-tools
crw-rw-rw-  1 root root 510,   0 Nov 22 03:33 nvidia-nvswitch0
crw-rw-rw-  1 root root 510, 255 Nov 22 03:33 nvidia-nvswitchctl
crw-rw-rw-  1 root root 509,   0 Nov 22 03:33 nvidia-nvlink
crw-rw-rw-  1 root root 499,   0 Nov 22 03:33 nvidia-fs0
crw-rw-rw-  1 root root 498,   0 Nov 22 03:33 gdrdrv
crw-rw-rw-  1 root root  10, 125 Nov 22 03:33 dxg
crw-rw-rw-  1 root root   1,   3 Nov 22 03:33 null
crw-rw-rw-  1 root root 195,   9 Nov 22 03:33 nvidia-unheard-of
brw-rw----  1 root root   8,   0 Nov 22 03:33 nvidia3
/dev/nvidia-caps-imex-channels:
crw-rw-rw-  1 root root 506,   0 Nov 22 03:33 channel0
/dev/infiniband:
crw-rw-rw-  1 root root  10,  58 Nov 22 03:33 rdma_cm
crw-rw-rw-  1 root root 231, 192 Nov 22 03:33 uverbs0
crw-------  1 root root 231,   0 Nov 22 03:33 umad0
/dev/dri:
crw-rw----+ 1 root video 226,   0 Nov 22 03:33 card0
crw-rw----  1 root video 226,   1 Nov 22 03:33 card1
crw-rw----  1 root render 226, 128 Nov 22 03:33 renderD128
"""


def test_the_h200() -> None:
    nodes = devices.read(ListedDevices(h200.text("host-dev.ls.txt")), ())
    assert [(node.path, node.major, node.minor, oct(node.mode)) for node in nodes] == [
        ("/dev/nvidia0", 195, 0, "0o666"),
        ("/dev/nvidia-caps/nvidia-cap1", 241, 1, "0o400"),
        ("/dev/nvidia-caps/nvidia-cap2", 241, 2, "0o444"),
        ("/dev/nvidia-uvm", 238, 0, "0o666"),
        ("/dev/nvidia-uvm-tools", 238, 1, "0o666"),
        ("/dev/nvidiactl", 195, 255, "0o666"),
    ]


def test_a_large_server() -> None:
    nodes = devices.read(ListedDevices(DGX, "/host"), ["card1", "renderD128", "renderD777"])
    names = [node.path.removeprefix("/dev/") for node in nodes]
    assert [name for name in names if name.startswith("nvidia") and name[6].isdigit()] == [
        "nvidia0",
        "nvidia1",
        "nvidia2",
        "nvidia10",
    ]
    assert {"nvidia-nvswitch0", "nvidia-nvswitchctl", "nvidia-nvlink", "nvidia-fs0", "gdrdrv", "dxg"} < set(names)
    assert {"infiniband/rdma_cm", "infiniband/uverbs0", "nvidia-caps-imex-channels/channel0"} < set(names)
    assert not {"null", "nvidia-unheard-of", "nvidia3", "infiniband/umad0", "dri/card0"} & set(names)
    assert nodes[names.index("dri/renderD128")] == DeviceNode(
        path="/dev/dri/renderD128", host="/host/dev/dri/renderD128", major=226, minor=128, mode=0o660, uid=0, gid=109
    )


def test_plain_files_and_links_are_no_nodes(tmp_path: Path) -> None:
    root = fill(tmp_path, {"/dev/nvidia0": "a zero-byte leftover"}, {"/dev/nvidiactl": "/dev/null"})
    assert devices.read(root, ["card0"]) == ()


def test_the_machine_has_no_simulated_nodes() -> None:
    assert all(node.host == node.path for node in devices.read(Root("/"), ()))
