"""What `gpudock drivers` lists."""

import msgspec

from gpudock.cli.drivers import rendered
from gpudock.facts.base import Missing
from gpudock.facts.snapshot import Snapshot
from gpudock.facts.system import PciFunction
from gpudock.host import codec
from gpudock.provision.install import drivers
from gpudock.provision.install.versions import Version
from unit import h200

FOUND = (
    Version("nvidia-driver", "535.261.03-1~deb12u1", "bookworm/non-free"),
    Version("nvidia-open", "595.58.03-1", "NVIDIA"),
    Version("cuda-drivers-580", "580.95.05-1", "NVIDIA"),
    Version("something", "x", "apt"),
)


def machine(*devices: int) -> Snapshot:
    taken = codec.decode(h200.SNAPSHOT.read_bytes())
    pci = tuple(
        PciFunction(address=f"0000:0{number}:00.0", vendor=0x10DE, device=device, pci_class=0x030200)
        for number, device in enumerate(devices)
    )
    loaded = msgspec.structs.replace(taken.kernel_driver, version=Missing("not loaded"))
    return msgspec.structs.replace(taken, pci=pci, gpus=(), kernel_driver=loaded)


def suits(*devices: int) -> list[str]:
    return [row.suits for row in drivers.listing(machine(*devices), FOUND, "2026-11").rows]


def test_which_suit() -> None:
    assert suits(0x2330) == ["yes", "yes", "yes", ""]
    assert suits(0x1DB6) == ["yes", "too new (up to 580)", "yes", ""]
    assert suits(0x2B85) == ["too old (from 570)", "yes", "no: they need the open module", ""]
    assert suits(0x102D, 0x2330) == ["no driver runs all of them"] * 3 + [""]
    assert suits(0x4000) == suits() == [""] * 4


def test_the_real_h200() -> None:
    taken = codec.decode(h200.SNAPSHOT.read_bytes())
    listing = drivers.listing(taken, FOUND, "2026-11")
    assert (listing.generations, listing.loaded) == (("Hopper",), "580.159.04")
    text = rendered(listing)
    assert "GPUs: Hopper: branches from 525 on, open kernel module (or the other)" in text
    assert "loaded: 580.159.04" in text
    line = next(each for each in text.splitlines() if each.startswith("535."))
    assert line.split("  ")[-1] == "long-term, ended 2026-06"


def test_without_a_program_that_lists_them_the_branches_are_told() -> None:
    listing = drivers.listing(machine(0x1DB6), (), "2026-11")
    assert [(row.version, row.cuda, row.suits) for row in listing.rows] == [
        ("610", "13.3", "too new (up to 580)"),
        ("595", "13.2", "too new (up to 580)"),
        ("580", "13.0", "yes"),
        ("535", "12.2", "yes"),
    ]
    assert listing.advice == "branches from 384 to 580, proprietary kernel module only"
    assert drivers.listing(machine(), (), "2026-11").advice == "no NVIDIA GPU is on the bus"
