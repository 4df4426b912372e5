"""The rootfs, out of what runtimes hand to a hook; and what hostile states give."""

import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from gpudock.errors import InputError
from gpudock.start import bundle

RUNC = {"ociVersion": "1.0.2-dev", "id": "c", "status": "creating", "pid": 1, "bundle": "", "annotations": {}}
CRUN = {"ociVersion": "1.0", "id": "c", "pid": 0, "root": "rootfs", "bundle": "", "status": "created"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps({"root": {"path": "/var/lib/merged", "readonly": True}}))
    return tmp_path


def state(folder: Path | str, base: dict[str, Any] = RUNC, **changes: Any) -> bytes:
    return json.dumps({**base, "bundle": str(folder), **changes}).encode()


def test_runc_says_it_in_the_bundle(folder: Path) -> None:
    assert bundle.rootfs_path(state(folder)) == "/var/lib/merged"
    (folder / "config.json").write_text('{"root": {"path": "rootfs"}}')
    assert bundle.rootfs_path(state(folder)) == f"{folder}/rootfs"


def test_crun_says_it_in_the_state(folder: Path) -> None:
    assert bundle.rootfs_path(state(folder, CRUN)) == f"{folder}/rootfs"
    assert bundle.rootfs_path(state(folder, CRUN, root="/merged")) == "/merged"


@pytest.mark.parametrize(
    "changes",
    [
        {"bundle": "relative"},
        {"bundle": ""},
        {"bundle": 7},
        {"bundle": None},
        {"bundle": "/a\0b"},
        {"bundle": "/" + "x" * 5000},
        {"bundle": "/\ud800"},
        {"bundle": "/nowhere"},
        {"bundle": "/new\nline"},
        {"root": ""},
        {"root": ["rootfs"]},
        {"root": "a\0"},
    ],
)
def test_hostile_states(folder: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        bundle.rootfs_path(state(folder, **changes))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"root": "x"}', '{"root": {}}', '{"root": {"path": 5}}', "{"])
def test_hostile_configurations(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(InputError):
        bundle.rootfs_path(state(folder))


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{}", b"\xff\xfe", b"[" * 100_000, b" " * ((1 << 20) + 1)])
def test_no_states(data: bytes) -> None:
    with pytest.raises(InputError):
        bundle.rootfs_path(data)


def test_a_huge_configuration_is_not_read(folder: Path) -> None:
    with (folder / "config.json").open("wb") as file:
        file.truncate(1 << 31)
    with pytest.raises(InputError, match="longer than 16 MiB"):
        bundle.rootfs_path(state(folder))


def test_ten_thousand_mutations(folder: Path) -> None:
    """Half of them in the state, half in the configuration."""
    rng = random.Random(11)
    good = {"state": state(folder), "config": (folder / "config.json").read_bytes()}
    refused = 0
    config = os.open(folder / "config.json", os.O_WRONLY)
    for turn in range(10_000):
        part = ("state", "config")[turn % 2]
        data = bytearray(good[part])
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(len(data))] = rng.choice(b'"{}[]:,\\0\x00\xff\nu/ x')
        if part == "config":
            os.pwrite(config, data, 0)  # of the same length; much faster than a new file
        try:
            bundle.rootfs_path(bytes(data) if part == "state" else good["state"])
        except InputError:
            refused += 1
    os.close(config)
    assert refused > 3000
