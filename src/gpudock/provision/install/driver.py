"""NVIDIA's driver: which packages, from where, with which kernel module; and the reboot that it may need. Pure."""

from gpudock.errors import RefusedError
from gpudock.gpu import cuda
from gpudock.provision.install import architecture, branches
from gpudock.provision.install.architecture import OPEN, PROPRIETARY
from gpudock.provision.install.step import Step, here, quoted
from gpudock.provision.install.target import Target
from gpudock.provision.install.wish import AUTO, DISTRIBUTION, NONE, NVIDIA, Wish

KEYRING = "/etc/apt/keyrings/gpudock-nvidia.gpg"
SOURCE = "/etc/apt/sources.list.d/gpudock-nvidia.sources"
PIN = "/etc/apt/preferences.d/gpudock-nvidia"
DEBIAN_BRANCH = {"12": 535, "13": 550}
_DEBIAN = ("nvidia-smi", "libcuda1", "libnvidia-ml1", "libnvidia-encode1", "libnvcuvid1", "libnvidia-ptxjitcompiler1")
_DEBIAN_SERVICES = ("nvidia-persistenced", "nvidia-modprobe")
_PINNED = "nvidia-* libnvidia-* libcuda1 libnvcuvid1 cuda-drivers* firmware-nvidia-* xserver-xorg-video-nvidia*"
SECURE_BOOT = (
    "with secure boot the module's own key must be enrolled (mokutil), or the firmware refuses the module;\n"
    "the driver's packages ask for it, on the console, at the next boot."
)


class Choice:
    """What was decided, and why."""

    def __init__(self, wish: Wish, target: Target) -> None:
        self.target = target
        gpus = target.gpus
        self.wanted = not target.wsl and wish.driver != NONE and gpus != ()
        if not self.wanted:
            return
        suits = architecture.suits(gpus or ())
        if suits is None:
            raise RefusedError(
                "No driver runs all GPUs of this machine.",
                why=f"they are {', '.join(gpus or ())}",
                mend="--driver none",
            )
        self.source = self._source(wish, suits)
        self.branch = self._branch(wish, suits)
        if not suits.branch(self.branch):
            last = f" to {suits.last}" if suits.last else " on"
            raise RefusedError(
                f"The driver's branch {self.branch} does not run {' and '.join(gpus or ())}.",
                why=f"these GPUs need a branch from {suits.first}{last}",
                mend="choose another --driver or --driver-version; gpudock drivers lists them",
            )
        self.module = self._module(wish, suits.modules)
        self.version = wish.driver_version

    def _distribution(self) -> int:
        system = self.target.system
        return DEBIAN_BRANCH[system.version] if system.id == "debian" else branches.BEST

    def _source(self, wish: Wish, suits: architecture.Suits) -> str:
        if wish.driver != AUTO:
            return wish.driver
        return DISTRIBUTION if suits.branch(self._distribution()) else NVIDIA

    def _branch(self, wish: Wish, suits: architecture.Suits) -> int:
        given = branches.branch(wish.driver_version) if wish.driver_version else None
        if given:
            return given
        return self._distribution() if self.source == DISTRIBUTION else max(branches.BEST, suits.first)

    def _module(self, wish: Wish, possible: tuple[str, ...]) -> str:
        if wish.module == AUTO:
            # Debian's package of the open module stays behind its security updates of the driver, and then conflicts.
            lags = self.source == DISTRIBUTION and self.target.system.id == "debian"
            return PROPRIETARY if lags and PROPRIETARY in possible else possible[0]
        if wish.module not in possible:
            raise RefusedError(
                f"The {wish.module} kernel module does not run {' and '.join(self.target.gpus or ())}.",
                mend=f"--module {possible[0]}",
            )
        return wish.module

    @property
    def packages(self) -> tuple[str, ...]:
        number = self.branch
        if self.source == NVIDIA:
            return (f"nvidia-open-{number}" if self.module == OPEN else f"cuda-drivers-{number}",)
        if self.target.system.id == "debian":
            kernel = "nvidia-open-kernel-dkms" if self.module == OPEN else "nvidia-kernel-dkms"
            return (kernel, *_DEBIAN, *_DEBIAN_SERVICES)
        kind = "-open" if self.module == OPEN else ""
        return (
            f"nvidia-headless-{number}-server{kind}",
            f"nvidia-utils-{number}-server",
            f"libnvidia-encode-{number}-server",
        )


def steps(wish: Wish, target: Target) -> tuple[Step, ...]:
    choice = Choice(wish, target)
    if not choice.wanted:
        return (_no_linux_driver(),) if target.wsl else ()
    return (*_sources(choice), _packages(choice), _reboot())


def _sources(choice: Choice) -> tuple[Step, ...]:
    system = choice.target.system
    if choice.source == NVIDIA:
        arch = "x86_64" if choice.target.architecture == "x86_64" else "sbsa"
        base = f"https://developer.download.nvidia.com/compute/cuda/repos/{system.nvidia}/{arch}"
        text = f"Types: deb\nURIs: {base}/\nSuites: /\nSigned-By: {KEYRING}\n"
        return (
            Step(
                "driver_source",
                "NVIDIA's repository, and its key",
                f"its key counts only with the fingerprint {system.fingerprint}, and only for this repository",
                "! has_gpu || has_source developer.download.nvidia.com",
                f"key_into {base}/{system.key} {system.fingerprint} {KEYRING}\n{here(text, SOURCE)}\nupdate_lists",
                f"restore_file {SOURCE}\nrestore_file {KEYRING}\nupdate_lists_if_possible",
                network=True,
            ),
        )
    if system.id != "debian":
        return ()
    return (
        Step(
            "driver_source",
            "Debian's parts contrib, non-free and non-free-firmware",
            "Debian keeps NVIDIA's driver there; they are added to the sources that apt has already, with their keys",
            "! has_gpu || apt-get indextargets 'Identifier: Packages' 'Component: non-free' | grep -q .",
            "update_lists\nadd_non_free\nupdate_lists",  # whose archives they are, apt knows from its lists alone
            "remove_non_free\nupdate_lists_if_possible",
            network=True,
        ),
    )


def _packages(choice: Choice) -> Step:
    names = choice.packages
    pin = f"Package: {_PINNED}\nPin: version {choice.version or choice.branch}*\nPin-Priority: 1001\n"
    pinned = bool(choice.version) or choice.source == NVIDIA
    version = f"{choice.version} (upgrades leave it alone)" if choice.version else f"branch {choice.branch}"
    where = "NVIDIA's repository" if choice.source == NVIDIA else "the distribution"
    life = branches.LIVES.get(choice.branch)
    until = f", maintained by NVIDIA until {life.ends}" if life else ""
    headers = "" if choice.target.system.id == "ubuntu" and choice.source != NVIDIA else '"$(kernel_headers)" '
    lines = [here(pin, PIN)] if pinned else []
    lines += [
        "update_lists",
        f"install_packages driver_packages --no-remove --no-install-recommends {headers}{quoted(*names)}",
    ]
    return Step(
        "driver_packages",
        f"NVIDIA's driver, {version}, {choice.module} kernel module, from {where}",
        f"runs CUDA up to {cuda.newest(choice.branch)}{until}; packages: {', '.join(names)}",
        f"! has_gpu || driver_is_there || installed {quoted(*names)}",
        "\n".join(lines),
        "remove_packages driver_packages" + (f"\nrestore_file {PIN}" if pinned else ""),
        network=True,
        warning=SECURE_BOOT,
    )


def _reboot() -> Step:
    return Step(
        "driver_loaded",
        "The driver's kernel module is loaded (a reboot, where it must be)",
        "nouveau, or another version of the module, goes only with a reboot",
        "! has_gpu || module_loaded",
        """\
if [ ! -d /sys/module/nouveau ] && modprobe nvidia 2>/dev/null && module_loaded; then
    say "      loaded without a reboot"
else
    [ "$(cat "$STATE/rebooting" 2>/dev/null)" != "" ] && [ "$(cat "$STATE/rebooting")" != "$(boot_id)" ] &&
        die "the module does not load after a reboot either: dmesg | grep -i nvidia, and mokutil --sb-state"
    boot_id | put "$STATE/rebooting" 644
    reboot_now
fi""",
        'rm -f "$STATE/rebooting"',
    )


def _no_linux_driver() -> Step:
    return Step(
        "wsl_driver",
        "WSL: the driver is that of Windows; none of Linux is installed",
        "Linux driver packages would hide the libraries that Windows puts into /usr/lib/wsl/lib",
        '[ -e /dev/dxg ] && [ -e /usr/lib/wsl/lib/libcuda.so.1 ] && [ -z "$(linux_drivers)" ]',
        """\
[ -e /dev/dxg ] || die "no /dev/dxg: this is WSL 1, or Windows' driver is missing; see docs/wsl.md"
[ -e /usr/lib/wsl/lib/libcuda.so.1 ] || die "no libcuda.so.1 in /usr/lib/wsl/lib: update NVIDIA's driver in Windows"
names=$(linux_drivers | one_line)
[ "$REMOVE_OLD" = yes ] ||
    die "Linux driver packages are installed: $names- to have them removed: REMOVE_OLD=yes (--remove-old)"
repair_packages
# shellcheck disable=SC2086 # names of packages, a word each
quietly apt_get remove $names""",
        keeps="the removed packages are not installed again: they harm WSL",
    )
