"""systemd units and a udev rule that refresh at boot, before the engines, and whenever the driver changes."""

import os
from typing import NamedTuple

from gpudock import proc, publish
from gpudock.errors import HostError

SERVICE = """\
[Unit]
Description=Driver tree and CDI specification for NVIDIA GPUs (gpudock)
# Engines read the specification when they start containers: at boot it must be there first.
Before=docker.service containerd.service podman-restart.service kubelet.service crio.service
After=systemd-modules-load.service nvidia-persistenced.service nvidia-fabricmanager.service
# Neither a driver nor the WSL device: nothing to do, and no failed unit on machines without a GPU.
ConditionPathExists=|/proc/driver/nvidia/version
ConditionPathExists=|/dev/dxg
StartLimitIntervalSec=10s
StartLimitBurst=5

[Service]
Type=oneshot
# Makes the device nodes that a specification names; without it nvidia-smi would work in containers, and CUDA not.
ExecStartPre=-/usr/bin/nvidia-modprobe -c 0 -u -m
ExecStart={program} refresh --quiet
Restart=on-failure
RestartSec=1s

[Install]
WantedBy=multi-user.target
"""

PATH = """\
[Unit]
Description=Watches for changes of the NVIDIA driver (gpudock)

[Path]
PathChanged=/lib/modules/%v/modules.dep
PathChanged=/etc/ld.so.cache
Unit=gpudock-refresh.service

[Install]
WantedBy=multi-user.target
"""

RULE = """\
# A part of the driver was loaded after boot: refresh. Debian calls the modules nvidia_current*.
ACTION=="add", SUBSYSTEM=="module", KERNEL=="nvidia|nvidia_uvm|nvidia_modeset|nvidia_drm|nvidia_current*", \\
  TAG+="systemd", ENV{SYSTEMD_WANTS}+="gpudock-refresh.service"
"""


class File(NamedTuple):
    path: str
    text: str


def files(program: str, root: str = "") -> tuple[File, ...]:
    """What is written, with the absolute path of the gpudock that the service runs."""
    return (
        File(root + "/etc/systemd/system/gpudock-refresh.service", SERVICE.format(program=program)),
        File(root + "/etc/systemd/system/gpudock-refresh.path", PATH),
        File(root + "/etc/udev/rules.d/60-gpudock.rules", RULE),
    )


def install(program: str, run: proc.Runner, root: str = "") -> list[str]:
    """Write the files and switch the units on. Without systemd they are written, and said to be inactive."""
    done: list[str] = []
    for file in files(program, root):
        publish.write(file.path, file.text.encode())
        done.append(f"wrote {file.path}")
    if not os.path.isdir(root + "/run/systemd/system"):
        return [*done, "systemd does not run here: the units are installed but not active"]
    commands: list[tuple[str, ...]] = [
        ("systemctl", "daemon-reload"),
        ("systemctl", "enable", "--now", "gpudock-refresh.path", "gpudock-refresh.service"),
    ]
    udev = os.path.exists(root + "/run/udev/control")
    if udev:
        commands.append(("udevadm", "control", "--reload"))
    for argv in commands:
        answer = run(proc.Command(argv, timeout=60))
        if not answer.ok:
            raise HostError(f"{' '.join(argv)} failed.", why=answer.err.strip()[-300:])
    done.append("switched on gpudock-refresh.path and gpudock-refresh.service")
    return done if udev else [*done, "udev does not run here, as in containers: its rule is installed but not active"]


def remove(run: proc.Runner, root: str = "") -> list[str]:
    """Switch the units off and take their files away."""
    if os.path.isdir("/run/systemd/system"):
        run(proc.Command(("systemctl", "disable", "--now", "gpudock-refresh.path", "gpudock-refresh.service")))
    done: list[str] = []
    for file in files("", root):
        try:
            os.unlink(file.path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise HostError(f"Cannot remove {file.path}.", why=error.strerror or str(error)) from error
        done.append(f"removed {file.path}")
    if done and os.path.isdir("/run/systemd/system"):
        run(proc.Command(("systemctl", "daemon-reload")))
    return done or ["there were no units"]
