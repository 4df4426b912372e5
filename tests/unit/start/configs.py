"""config.json of containers, as engines write them, as far as the runtime looks."""

from __future__ import annotations

from typing import Any

Json = Any


def config(*env: str, **parts: Json) -> dict[str, Json]:
    """A container with these variables; `parts` are further sections."""
    return {
        "ociVersion": "1.0.2-dev",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": ["PATH=/usr/bin:/bin", *env],
            "cwd": "/",
            "capabilities": {"bounding": ["CAP_CHOWN"]},
        },
        "root": {"path": "rootfs"},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": "mount"}, {"type": "pid"}],
        },
        **parts,
    }


def privileged(*env: str, **parts: Json) -> dict[str, Json]:
    made = config(*env, **parts)
    made["process"]["capabilities"]["bounding"].append("CAP_SYS_ADMIN")
    return made


def nvidia_hook() -> dict[str, Json]:
    """As docker's --gpus adds it."""
    return {
        "path": "/usr/bin/nvidia-container-runtime-hook",
        "args": ["nvidia-container-runtime-hook", "prestart"],
        "env": ["PATH=/bin"],
    }
