"""The files beside the start code that this machine's settings fill in: the runtime's entry, and settings.json."""

import json
import os
import shlex
from typing import NamedTuple

from gpudock.refresh.paths import PROGRAM, ROOT, Paths
from gpudock.refresh.settings import Settings

RUNTIME = "gpudock-runtime"
HOOK = "nvidia-container-runtime-hook"  # docker's --gpus looks for it
SETTINGS = "settings.json"
# Whatever asks for GPUs holds one of these, see start/asked.py; the last also stands for what we edited before.
_SIGNS = ("NVIDIA_VISIBLE_DEVICES=", "CUDA_VERSION=", "nvidia-container-", "cdi.k8s.io/", '"gpudock.')


class File(NamedTuple):
    text: str
    mode: int


def files(sources: str, settings: Settings, where: Paths) -> dict[str, File]:
    """By name. `@FOLDER@`, `@PYTHON@` and `@FLAGS@` still stand in them: see filled()."""
    signs = (*_SIGNS, *(f"{name}=" for name in settings.swarm_resource))
    entry = _text(f"{sources}/start/entry.sh")
    entry = entry.replace("@RUNTIMES@", shlex.join(settings.runtimes))
    variables = [sign for sign in signs if sign.endswith("=")]
    entry = entry.replace("@VARIABLES@", " ".join(f"-e {shlex.quote(sign)}" for sign in variables))
    entry = entry.replace("@SIGNS@", " ".join(f"-e {shlex.quote(sign)}" for sign in signs))
    return {
        RUNTIME: File(entry, 0o755),
        HOOK: File(_text(f"{sources}/start/nvidia_hook.sh"), 0o755),
        SETTINGS: File(_settings(settings, where), 0o644),
    }


def filled(text: str, folder: str, python: str, flags: tuple[str, ...]) -> str:
    for mark, value in (("FOLDER", folder), ("PYTHON", python)):
        text = text.replace(f"@{mark}@", shlex.quote(value))
    return text.replace("@FLAGS@", shlex.join(flags))


def _settings(settings: Settings, where: Paths) -> str:
    """As start/settings.py reads it."""
    elsewhere = {
        f"GPUDOCK_{name.upper()}_DIR": value for name, value in where._asdict().items() if value != getattr(ROOT, name)
    }
    return json.dumps(
        {
            "annotations": settings.accept_annotations,
            "disable_require": settings.disable_require,
            "environment": elsewhere,
            "lookup": settings.lookup,
            "mounts": settings.accept_volume_mounts,
            "refresh": [f"{PROGRAM}/current/bin/gpudock", "refresh", "--quiet"],
            "specs": [where.spec, where.aside],
            "swarm": list(settings.swarm_resource),
            "withhold": settings.withhold_device_files,
            "unprivileged": settings.accept_envvar_when_unprivileged,
        },
        indent=1,
    )


def _text(path: str) -> str:
    with open(os.path.realpath(path), encoding="utf-8") as file:
        return file.read()
