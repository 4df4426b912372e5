"""Graphics functions, NVSwitches and the kernel drivers that hold them."""

from pathlib import Path

from gpudock.facts.system import PciFunction
from gpudock.host import pci
from unit.recorded import fill


def function(address: str, vendor: str, device: str, pci_class: str) -> dict[str, str]:
    folder = f"/devices/pci0000:00/{address}"
    return {f"{folder}/vendor": vendor, f"{folder}/device": device, f"{folder}/class": pci_class}


def test_gpus_and_switches_of_a_server(tmp_path: Path) -> None:
    files = {
        **function("0000:00:1f.0", "0x8086\n", "0xa1c1\n", "0x060100\n"),  # an ISA bridge
        **function("0000:03:00.0", "0x1a03\n", "0x2000\n", "0x030000\n"),  # the board's own VGA
        **function("0000:1b:00.0", "0x10de\n", "0x2330\n", "0x030200\n"),
        **function("0000:1b:00.1", "0x10de\n", "0x22bc\n", "0x040300\n"),  # HDMI sound of a graphics card
        **function("0000:2a:00.0", "0x10de\n", "0x22a3\n", "0x068000\n"),
        **function("0000:2b:00.0", "0x1000\n", "0x22a3\n", "0x068000\n"),  # somebody else's bridge
        **function("10000:e1:00.0", "0x10de\n", "0x1eb8\n", "0x030200\n"),
        **function("0000:44:00.0", "0x10de\n", "broken\n", "0x030200\n"),
    }
    addresses = {path.split("/")[3] for path in files}
    links = {f"/bus/pci/devices/{address}": f"../../../devices/pci0000:00/{address}" for address in addresses}
    links["/devices/pci0000:00/0000:1b:00.0/driver"] = "../../../bus/pci/drivers/nvidia"
    links["/devices/pci0000:00/0000:2a:00.0/driver"] = "../../../bus/pci/drivers/nvidia-nvswitch"
    links["/devices/pci0000:00/10000:e1:00.0/driver"] = "../../../bus/pci/drivers/vfio-pci"
    assert pci.read(fill(tmp_path, files, links)) == (
        PciFunction(address="0000:03:00.0", vendor=0x1A03, device=0x2000, pci_class=0x030000),
        PciFunction(address="0000:1b:00.0", vendor=0x10DE, device=0x2330, pci_class=0x030200, kernel_driver="nvidia"),
        PciFunction(
            address="0000:2a:00.0", vendor=0x10DE, device=0x22A3, pci_class=0x068000, kernel_driver="nvidia-nvswitch"
        ),
        PciFunction(
            address="10000:e1:00.0", vendor=0x10DE, device=0x1EB8, pci_class=0x030200, kernel_driver="vfio-pci"
        ),
    )


def test_drm_nodes_of_a_function(tmp_path: Path) -> None:
    drm = "/bus/pci/devices/0000:1b:00.0/drm"
    root = fill(
        tmp_path,
        {f"{drm}/card1/dev": "", f"{drm}/renderD128/dev": "", f"{drm}/controlD64/dev": "", f"{drm}/version": ""},
    )
    assert pci.drm(root, "0000:1b:00.0") == ("card1", "renderD128")
    assert pci.drm(root, "0000:99:00.0") == ()


def test_a_machine_without_pci(tmp_path: Path) -> None:
    assert pci.read(fill(tmp_path, {})) == ()
