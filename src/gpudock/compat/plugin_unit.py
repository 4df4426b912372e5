"""systemd units: one that runs the daemon, and two that let fixed folders follow the driver without it."""

import os
from typing import NamedTuple

from gpudock import proc, publish
from gpudock.errors import HostError, UsageError

_FOLDER = "/etc/systemd/system"
DAEMON = "nvidia-docker.service"  # nvidia-docker 1's own name: `systemctl start nvidia-docker` is in people's scripts

_DAEMON_TEXT = """\
[Unit]
Description=NVIDIA Docker plugin (gpudock)
After=local-fs.target network.target gpudock-refresh.service
Wants=gpudock-refresh.service
Before=docker.service

[Service]
Type=notify
# nvidia-docker 1's place for -l, -s and -d
EnvironmentFile=-/etc/default/nvidia-docker
ExecStart={program} volume serve $NVIDIA_DOCKER_PLUGIN_OPTS
Restart=on-failure
RestartSec=1
TimeoutStopSec=20
OOMScoreAdjust=-500
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes

[Install]
WantedBy=multi-user.target
"""
_FOLLOW_TEXT = """\
[Unit]
Description=Fixed folders show the NVIDIA driver that containers get (gpudock)
After=gpudock-refresh.service
Before=docker.service containerd.service podman-restart.service

[Service]
Type=oneshot
ExecStart={program} volume create --quiet --volumes "{folder}"

[Install]
WantedBy=multi-user.target
"""
_PATH_TEXT = """\
[Unit]
Description=Watches for another NVIDIA driver in containers (gpudock)

[Path]
PathChanged={spec}
Unit=gpudock-volume.service

[Install]
WantedBy=multi-user.target
"""


class Units(NamedTuple):
    """Names with their texts, in the order in which they are switched on."""

    texts: tuple[tuple[str, str], ...]


def daemon(program: str) -> Units:
    """`program`: the absolute path of the gpudock that the units run."""
    return Units(((DAEMON, _DAEMON_TEXT.format(program=program)),))


def following(program: str, spec: str, folder: str) -> Units:
    """`spec`: the file whose change means another driver; `folder`: where the volumes are."""
    if '"' in folder or "\n" in folder:
        raise UsageError("A unit cannot name this folder of volumes.", why="systemd would read its name differently")
    service = _FOLLOW_TEXT.format(program=program, folder=folder.replace("%", "%%"))
    return Units((("gpudock-volume.service", service), ("gpudock-volume.path", _PATH_TEXT.format(spec=spec))))


def install(units: Units, run: proc.Runner, root: str = "") -> list[str]:
    """Write the units and switch them on. Without systemd they are written, and said to be inactive."""
    done = []
    for name, text in units.texts:
        publish.write(f"{root}{_FOLDER}/{name}", text.encode())
        done.append(f"wrote {_FOLDER}/{name}")
    if not os.path.isdir(root + "/run/systemd/system"):
        return [*done, "systemd does not run here: the units are installed but not active"]
    names = [name for name, _ in units.texts]
    for argv in (("systemctl", "daemon-reload"), ("systemctl", "enable", "--now", *names)):
        answer = run(proc.Command(argv, timeout=60))
        if not answer.ok:
            raise HostError(f"{' '.join(argv)} failed.", why=answer.err.strip()[-300:])
    return [*done, f"switched on {' and '.join(names)}"]


def remove(units: Units, run: proc.Runner, root: str = "") -> list[str]:
    """Switch the units off and take their files away."""
    there = [name for name, _ in units.texts if os.path.exists(f"{root}{_FOLDER}/{name}")]
    active = os.path.isdir(root + "/run/systemd/system")
    if there and active:
        run(proc.Command(("systemctl", "disable", "--now", *there), timeout=60))
    for name in there:
        try:
            os.unlink(f"{root}{_FOLDER}/{name}")
        except OSError as error:
            raise HostError(f"Cannot remove {_FOLDER}/{name}.", why=error.strerror or str(error)) from error
    if there and active:
        run(proc.Command(("systemctl", "daemon-reload"), timeout=60))
    return [f"removed {_FOLDER}/{name}" for name in there] or ["there were no units"]
