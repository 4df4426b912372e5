"""The GPUs that can be simulated, as NVML and PCI name them."""

import re
from dataclasses import dataclass

from gpudock.errors import UsageError

_TESLA, _NVIDIA = 2, 14  # nvmlBrandType_t
_BRAND_SINCE = 465  # the branch that renamed the data-centre cards


@dataclass(frozen=True, slots=True)
class Profile:
    """A GPU instance profile, with a compute instance that fills it."""

    name: str
    eighths: int  # of the GPU's memory
    memory: int  # MiB
    multiprocessors: int
    copy_engines: int
    decoders: int
    jpegs: int
    ofas: int

    @property
    def slices(self) -> int:
        return int(self.name[0])

    @property
    def first_gi(self) -> int:
        """Drivers number GPU instances by size: 0, then halves from 1, quarters from 3, eighths from 7."""
        return {8: 0, 4: 1, 2: 3, 1: 7}[self.eighths]


@dataclass(frozen=True, slots=True)
class Model:
    key: str
    name: str  # since branch 465
    memory: int  # MiB
    reserved: int  # MiB the driver keeps for itself
    compute_capability: str
    pci_device: int
    pci_subsystem: int
    multiprocessors: int
    power_limit: int  # W
    first_branch: int  # oldest driver branch that runs it
    last_branch: int | None = None
    profiles: tuple[Profile, ...] = ()

    def name_in(self, branch: int) -> str:
        return self.name if branch >= _BRAND_SINCE else self.name.removeprefix("NVIDIA ")

    def brand_in(self, branch: int) -> int:
        return _NVIDIA if branch >= _BRAND_SINCE and self.last_branch is None else _TESLA


_A100 = (
    Profile("1g.10gb", 1, 9728, 14, 1, 0, 0, 0),
    Profile("1g.10gb+me", 1, 9728, 14, 1, 1, 1, 1),
    Profile("1g.20gb", 2, 19968, 14, 1, 1, 0, 0),
    Profile("2g.20gb", 2, 19968, 28, 2, 1, 0, 0),
    Profile("3g.40gb", 4, 40192, 42, 3, 2, 0, 0),
    Profile("4g.40gb", 4, 40192, 56, 4, 2, 0, 0),
    Profile("7g.80gb", 8, 80896, 98, 7, 5, 1, 1),
)
_H100 = (
    Profile("1g.10gb", 1, 9984, 16, 1, 1, 1, 0),
    Profile("1g.10gb+me", 1, 9984, 16, 1, 1, 1, 1),
    Profile("1g.20gb", 2, 20096, 26, 1, 1, 1, 0),
    Profile("2g.20gb", 2, 20096, 32, 2, 2, 2, 0),
    Profile("3g.40gb", 4, 40448, 60, 3, 3, 3, 0),
    Profile("4g.40gb", 4, 40448, 64, 4, 4, 4, 0),
    Profile("7g.80gb", 8, 81152, 132, 8, 7, 7, 1),
)
_H200 = (
    Profile("1g.18gb", 1, 16384, 16, 1, 1, 1, 0),
    Profile("1g.18gb+me", 1, 16384, 16, 1, 1, 1, 1),
    Profile("1g.35gb", 2, 33280, 26, 1, 1, 1, 0),
    Profile("2g.35gb", 2, 33280, 32, 2, 2, 2, 0),
    Profile("3g.71gb", 4, 71168, 60, 3, 3, 3, 0),
    Profile("4g.71gb", 4, 71168, 64, 4, 4, 4, 0),
    Profile("7g.141gb", 8, 143360, 132, 8, 7, 7, 1),
)
_B200 = (
    Profile("1g.23gb", 1, 22528, 18, 2, 1, 1, 0),
    Profile("1g.23gb+me", 1, 22528, 18, 2, 1, 1, 1),
    Profile("1g.45gb", 2, 45312, 30, 2, 1, 1, 0),
    Profile("2g.45gb", 2, 45312, 36, 4, 2, 2, 0),
    Profile("3g.90gb", 4, 91136, 70, 6, 3, 3, 0),
    Profile("4g.90gb", 4, 91136, 72, 8, 4, 4, 0),
    Profile("7g.180gb", 8, 182784, 148, 16, 7, 7, 1),
)

MODELS = {
    model.key: model
    for model in (
        Model("K80", "Tesla K80", 11441, 66, "3.7", 0x102D, 0x106C, 13, 149, 340, last_branch=470),
        Model("T4", "Tesla T4", 15360, 450, "7.5", 0x1EB8, 0x12A2, 40, 70, 410),
        Model("A100", "NVIDIA A100-SXM4-80GB", 81920, 622, "8.0", 0x20B2, 0x1463, 108, 400, 450, profiles=_A100),
        Model("H100", "NVIDIA H100 80GB HBM3", 81559, 555, "9.0", 0x2330, 0x16C1, 132, 700, 525, profiles=_H100),
        Model("H200", "NVIDIA H200", 143771, 615, "9.0", 0x2335, 0x18BF, 132, 700, 550, profiles=_H200),
        Model("B200", "NVIDIA B200", 183359, 715, "10.0", 0x2901, 0x1999, 148, 1000, 570, profiles=_B200),
    )
}

# The CUDA version that each driver branch reports.
_CUDA = {
    340: "6.5", 352: "7.5", 367: "8.0", 384: "9.0", 390: "9.1", 396: "9.2", 410: "10.0", 418: "10.1", 440: "10.2",
    450: "11.0", 455: "11.1", 460: "11.2", 465: "11.3", 470: "11.4", 495: "11.5", 510: "11.6", 515: "11.7",
    520: "11.8", 525: "12.0", 530: "12.1", 535: "12.2", 545: "12.3", 550: "12.4", 555: "12.5", 560: "12.6",
    565: "12.7", 570: "12.8", 575: "12.9", 580: "13.0", 590: "13.1",
}  # fmt: skip


def branch_of(driver: str) -> int:
    """580 of "580.159.04". Raises UsageError."""
    if not re.fullmatch(r"\d{3}\.\d{1,3}(\.\d{1,2})?", driver, re.ASCII):
        raise UsageError(f"{driver!r} is no driver version.", mend="write it like 580.159.04")
    return int(driver[:3])


def cuda_version(branch: int) -> str:
    """What the newest known branch not newer than `branch` reports. Raises UsageError for one before them all."""
    known = [each for each in _CUDA if each <= branch]
    if not known:
        raise UsageError(f"Driver branch {branch} is too old to be simulated.", mend=f"choose {min(_CUDA)} or newer")
    return _CUDA[max(known)]
