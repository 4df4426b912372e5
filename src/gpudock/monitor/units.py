"""The systemd unit of `gpudock serve`."""

import os

from gpudock import proc, publish
from gpudock.errors import HostError

NAME = "gpudock-serve.service"
_FOLDER = "/etc/systemd/system"
CAPABILITIES = (
    *("CAP_SYS_ADMIN", "CAP_SETUID", "CAP_SETGID", "CAP_SYS_PTRACE"),
    *("CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE", "CAP_KILL"),
)
_TEXT = """\
[Unit]
Description=Who uses which GPU: metrics, JSON and page (gpudock)
After=network.target gpudock-refresh.service

[Service]
Type=exec
# Options, such as GPUDOCK_SERVE_OPTS=--interval 5 --families gpudock
EnvironmentFile=-/etc/default/gpudock-serve
ExecStart={program} serve $GPUDOCK_SERVE_OPTS
Restart=on-failure
RestartSec=5
# Root, because only root sees everybody's containers; users' own Podmans are asked as those users.
# Without CAP_SYS_ADMIN Podman takes itself for a user's. Older systemds hide all devices for ProtectClock=, GPUs too.
CapabilityBoundingSet={capabilities}
ProtectSystem=full
ProtectHostname=yes
LockPersonality=yes
RestrictRealtime=yes
MemoryMax=512M
TasksMax=512

[Install]
WantedBy=multi-user.target
"""


def text(program: str) -> str:
    """`program`: the absolute path of the gpudock that the unit runs."""
    return _TEXT.format(program=program, capabilities=" ".join(CAPABILITIES))


def install(program: str, run: proc.Runner, root: str = "") -> list[str]:
    """Write the unit and switch it on. Without systemd it is written, and said to be inactive."""
    publish.write(f"{root}{_FOLDER}/{NAME}", text(program).encode())
    done = [f"wrote {_FOLDER}/{NAME}"]
    if not os.path.isdir(root + "/run/systemd/system"):
        return [*done, "systemd does not run here: the unit is installed but not active"]
    for argv in (("systemctl", "daemon-reload"), ("systemctl", "enable", "--now", NAME)):
        answer = run(proc.Command(argv, timeout=60))
        if not answer.ok:
            raise HostError(f"{' '.join(argv)} failed.", why=answer.err.strip()[-300:])
    return [*done, f"switched on {NAME}"]


def remove(run: proc.Runner, root: str = "") -> list[str]:
    """Switch the unit off and take its file away."""
    place = f"{root}{_FOLDER}/{NAME}"
    if not os.path.lexists(place):
        return ["there was no unit"]
    active = os.path.isdir(root + "/run/systemd/system")
    if active:
        run(proc.Command(("systemctl", "disable", "--now", NAME), timeout=60))
    try:
        os.unlink(place)
    except OSError as error:
        raise HostError(f"Cannot remove {_FOLDER}/{NAME}.", why=error.strerror or str(error)) from error
    if active:
        run(proc.Command(("systemctl", "daemon-reload"), timeout=60))
    return [f"removed {_FOLDER}/{NAME}"]
