"""Bundles as Docker hands them to an OCI runtime: its own config.json, on an overlay that is new for each container."""

import contextlib
import json
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.starts import elf

Config = dict[str, Any]
LIBRARIES = 500  # in the image, as in one with a framework for machine learning
TEMPLATE = Path(__file__).with_name("docker-config.json")  # what Docker 28 wrote for `docker run --network none`


def image(tar: Path, folder: Path) -> Path:
    """The lower layer: a small glibc system with many libraries in its linker cache."""
    with tarfile.open(tar) as packed:
        packed.extractall(folder, filter="fully_trusted")
    elf.fill(folder / "usr/lib/bench", LIBRARIES)
    (folder / "etc/ld.so.conf.d/bench.conf").write_text("/usr/lib/bench\n")
    subprocess.run([folder / "sbin/ldconfig", "-r", folder], check=True)
    return folder


@dataclass(frozen=True)
class Bundle:
    folder: Path
    name: str
    layer: Path  # what the container has changed

    @property
    def rootfs(self) -> Path:
        return self.folder / "rootfs"


def configuration(name: str, folder: Path, command: list[str], env: tuple[str, ...]) -> Config:
    config: Config = json.loads(TEMPLATE.read_text())
    config["process"]["args"] = command
    config["process"]["env"] += env
    config["linux"]["cgroupsPath"] = f"/start-bench-{name}"
    for mount in config["mounts"]:
        if mount["source"].startswith("@"):
            mount["source"] = f"{folder}/{mount['source'][1:]}"
            Path(mount["source"]).touch()
    return config


def edited(config: Config, specification: dict[str, Any], device: str) -> Config:
    """As an engine edits it by a CDI specification."""
    parts = [one["containerEdits"] for one in specification["devices"] if one["name"] == device]
    for part in [*parts, specification["containerEdits"]]:
        config["process"]["env"] += part.get("env", [])
        for node in part.get("deviceNodes", []):
            made = {name: node[name] for name in ("path", "type", "major", "minor", "fileMode")}
            config["linux"].setdefault("devices", []).append(made)
            rule = {"allow": True, "type": "c", "major": node["major"], "minor": node["minor"], "access": "rw"}
            config["linux"]["resources"]["devices"].append(rule)
        for mount in part.get("mounts", []):
            made = {"destination": mount["containerPath"], "source": mount["hostPath"], "type": "bind"}
            config["mounts"].append({**made, "options": mount["options"]})
        for hook in part.get("hooks", []):
            command = {name: hook[name] for name in ("path", "args", "env", "timeout") if name in hook}
            config.setdefault("hooks", {}).setdefault(hook["hookName"], []).append(command)
    return config


@contextlib.contextmanager
def bundle(parent: Path, name: str, lower: Path, *, kept: bool = False) -> Iterator[Bundle]:
    """Without a config.json yet. `kept`: it is put aside at the end instead of being deleted. ext4 gives nobody a file
    number that was in use five seconds ago, and looks at all of those whenever it makes a file in an overlay: what a
    benchmark deletes would make its own next containers slow.
    """
    folder = parent / name
    layer, work, rootfs = (folder / part for part in ("upper", "work", "rootfs"))
    for part in (folder, layer, work, rootfs):
        part.mkdir()
    options = f"lowerdir={lower},upperdir={layer},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, rootfs], check=True)
    try:
        yield Bundle(folder, name, layer)
    finally:
        subprocess.run(["umount", rootfs], check=True)
        if kept:
            (parent / "ended").mkdir(exist_ok=True)
            folder.rename(parent / "ended" / f"{name}-{time.monotonic_ns()}")
        else:
            shutil.rmtree(folder)
