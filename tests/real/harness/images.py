"""Test images, without a registry: busybox, tiny, lib64, musl, debian, python, systemd. See rootfs.py for what each is."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from real.harness import archive, cache, rootfs
from real.harness.commands import run
from real.harness.engines import Engine

DEBIAN = {"debian": rootfs.debian, "python": rootfs.python, "systemd": rootfs.systemd}
NAMES = (*rootfs.TREES, "debian")
WITH_PROBE = tuple(name for name in NAMES if name != "busybox")


def tar(name: str) -> Path:
    """The image's root file system as a tar in the cache, made on first use: debian takes half a minute."""
    made_from = (Path(rootfs.__file__).read_bytes(), rootfs.PROBE_SOURCE.read_bytes(), archive.codename())
    return cache.kept(f"images/{name}", cache.key(*made_from), lambda staging: _make(name, staging), suffix=".tar")


def unpack(name: str, tree: Path) -> None:
    """The image's files in a folder, which is made."""
    tree.mkdir(parents=True)
    run(["tar", "-C", str(tree), "-xpf", str(tar(name))])


def load(
    engine: Engine, name: str, *, env: Mapping[str, str] | None = None, labels: Mapping[str, str] | None = None
) -> str:
    """Puts an image, with the environment and labels given, into an engine, once; returns the reference to run it by."""
    changes = [_change("ENV", *item) for item in (env or {}).items()]
    changes += [_change("LABEL", *item) for item in (labels or {}).items()]
    source = tar(name)
    reference = f"localhost/gpudock-test/{name}:{cache.key(source.name, *changes)}"
    if engine.run("image", "inspect", reference, check=False).returncode != 0:
        flags = [flag for change in changes for flag in ("--change", change)]
        engine.run("import", *flags, str(source), reference)
    return reference


def _make(name: str, staging: Path) -> None:
    if name in DEBIAN:
        DEBIAN[name](staging)
        return
    with tempfile.TemporaryDirectory(prefix="gpudock-image-") as temp:
        tree = Path(temp, name)
        rootfs.TREES[name](tree)
        rootfs.pack(tree, staging)


def _change(instruction: str, name: str, value: str) -> str:
    # Docker reads a Dockerfile's quoting and Podman only part of it: what both read alike is taken.
    if not value or any(character in value for character in '"\\$\n'):
        raise ValueError(
            f"{instruction} {name}: docker and podman import read {value!r} differently; set it another way"
        )
    return f'{instruction} {name}="{value}"'
