"""The Windows side of WSL 2 as a PowerShell script, with the Linux side inside. Pure but for its file of text."""

import importlib.resources

from gpudock import __version__
from gpudock.errors import UsageError
from gpudock.provision.emit import script
from gpudock.provision.install import wsl
from gpudock.provision.install.plan import Plan

DISTRIBUTION = "Ubuntu-24.04"
PLACE = "THE-LINUX-PLAN"
_HEAD = """\
# Made by gpudock {version}: WSL 2 with Docker and NVIDIA GPUs, on a Windows machine.
# UNVERIFIED: never executed on Windows by gpudock's tests. Read it before; -WhatIf shows what it would do.
#   powershell -ExecutionPolicy Bypass -File THIS-FILE [-Distribution NAME] [-WhatIf]
#   ... -Export C:\\backup.tar                            write the distribution to a file, and nothing else
#   ... -Import C:\\backup.tar -Location D:\\wsl\\name      the distribution from such a file
# It never installs a Linux driver: WSL uses that of Windows. Run it as often as you like: it does what is left.
#Requires -Version 5.1
[CmdletBinding(SupportsShouldProcess)]
param(
    [ValidatePattern('^[A-Za-z0-9][A-Za-z0-9._-]*$')]
    [string]$Distribution = '{distribution}',
    [string]$Export = '',
    [string]$Import = '',
    [string]$Location = ''
)

"""


def render(plan: Plan) -> str:
    """Raises UsageError for a plan that is not for WSL 2."""
    if not plan.target.wsl:
        raise UsageError("--emit powershell is for --os wsl2.", why="it is the Windows side of WSL")
    linux = script.render(plan)
    assert not any(line.startswith("'@") for line in linux.splitlines()), "it would end PowerShell's here-string"
    least = {
        "Windows": wsl.WINDOWS_10,
        "Driver": wsl.DRIVER,
        "Wsl": wsl.WSL_SYSTEMD,
        "Kernel": wsl.KERNEL,
    }
    lines = [f"$Least{name} = [version]'{_two(each)}' # {each.source}" for name, each in least.items()]
    text = importlib.resources.files("gpudock.provision.emit").joinpath("windows.ps1").read_text(encoding="utf-8")
    head = _HEAD.replace("{version}", __version__).replace("{distribution}", DISTRIBUTION)
    return head + "\n".join(lines) + "\n\n" + text.replace(PLACE, linux.rstrip("\n"))


def _two(least: wsl.Least) -> str:
    """PowerShell's versions have two numbers at least."""
    return least.text if len(least.version) > 1 else f"{least.text}.0"
