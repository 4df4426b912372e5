"""The hook's own decisions; it runs as a process in tests/real."""

import json
import random
from pathlib import Path

import pytest

from gpudock.errors import GpudockError, RefusedError, UsageError
from gpudock.start import bundle, hook
from gpudock.start.rootfs import Rootfs, refuse_links
from unit.plan.plans import gpu, plan_with


@pytest.fixture
def trees(tmp_path: Path) -> dict[str, Path]:
    """Two driver trees and a rootfs; what is mounted is played by the tree itself standing in the rootfs."""
    folders = {name: tmp_path / "image/usr/local" / name for name in ("nvidia", "other")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    return folders


def test_the_mounted_tree_tells_the_variant(trees: dict[str, Path], tmp_path: Path) -> None:
    plan = plan_with()
    (only,) = plan["variants"].values()
    plan["variants"] = {
        "gone": {**only, "folder": str(tmp_path / "nowhere")},
        "other": {**only, "folder": str(trees["other"])},
        "mounted": {**only, "folder": str(trees["nvidia"])},
    }
    assert hook._variant(plan, Rootfs(str(tmp_path / "image"))) is plan["variants"]["mounted"]


@pytest.mark.parametrize("mounted", [True, False])
def test_another_or_no_tree_is_refused(trees: dict[str, Path], tmp_path: Path, *, mounted: bool) -> None:
    plan = plan_with()
    for variant in plan["variants"].values():
        variant["folder"] = str(trees["other"])
    if not mounted:
        trees["nvidia"].rmdir()
    with pytest.raises(RefusedError, match=r"driver tree is not mounted at /usr/local/nvidia.*volume covers it"):
        hook._variant(plan, Rootfs(str(tmp_path / "image")))


def test_gpus_are_those_whose_nodes_are_there(tmp_path: Path) -> None:
    plan = plan_with(gpu(0), gpu(1, instances=2), gpu(2))
    (tmp_path / "dev").mkdir()
    for minor in (1, 2, 7):
        (tmp_path / f"dev/nvidia{minor}").touch()
    assert [found["minor"] for found in hook._gpus(plan, Rootfs(str(tmp_path)))] == [1, 2]


@pytest.mark.parametrize("name", ["dev", "proc", "sys"])
def test_links_in_place_of_the_kernels_folders_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "proc2").mkdir()
    refuse_links(Rootfs(str(tmp_path)))
    (tmp_path / name).symlink_to("proc2")
    with pytest.raises(RefusedError, match=f"/{name} of this image is a link"):
        refuse_links(Rootfs(str(tmp_path)))


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["--plan"],
        ["--plan", "relative"],
        ["/plan"],
        ["--plan", "/a", "/b"],
        ["--lookup", "--plan", "/a"],
        ["--lookup", "walk"],
        ["--withhold-device-files", "--plan", "relative"],
        ["--unknown", "--plan", "/a"],
    ],
)
def test_usage(argv: list[str]) -> None:
    with pytest.raises(UsageError):
        hook._Wanted(argv)


def test_its_command_line() -> None:
    plain, full = (
        hook._Wanted(["--plan", "/run/a.json"]),
        hook._Wanted(["--withhold-device-files", "--lookup", "openat2", "--plan", "/run/a.json"]),
    )
    assert (plain.plan, plain.look_up, plain.withhold) == ("/run/a.json", "walk", False)
    assert (full.plan, full.look_up, full.withhold) == ("/run/a.json", "openat2", True)
    assert hook._Wanted(["--withhold-device-files"]).plan == ""


def test_messages_are_one_short_line(capfd: pytest.CaptureFixture[str]) -> None:
    hook.say("first\nsecond\x1b[31m\udc80\u2028" + "\N{SNOWMAN}" * 5000)
    text = capfd.readouterr().err
    assert text.startswith("gpudock-hook: first?second?[31m??\N{SNOWMAN}")
    assert text.count("\n") == 1
    assert len(text.encode(errors="surrogateescape")) <= 4096


def test_whatever_state_and_configuration_hold(tmp_path: Path) -> None:
    """Changed, cut and mixed at random: a path or an error of ours, ten thousand times."""
    chance = random.Random(7)
    state = json.dumps({"ociVersion": "1.0", "id": "x\n\u0000y", "pid": 1, "bundle": str(tmp_path)}).encode()
    config = json.dumps({"root": {"path": "rootfs", "readonly": True}, "hooks": {}, "mounts": [{}]}).encode()
    parts = [b"null", b"[", b'"', b"\\ud800", b"\0", b"\xff", b"1e999", b"{}", b"..", b'"root":{}', b"-", b"\n"]
    outcomes = {"path": 0, "refused": 0}

    def spoilt(data: bytes) -> bytes:
        spoil = bytearray(data)
        for _ in range(chance.randint(0, 3)):
            at = chance.randrange(len(spoil) + 1)
            spoil[at : at + chance.randint(0, 9)] = chance.choice(parts)
        return bytes(spoil)

    for _ in range(10_000):
        (tmp_path / "config.json").write_bytes(spoilt(config))
        try:
            assert bundle.rootfs_path(spoilt(state)).startswith("/")
            outcomes["path"] += 1
        except GpudockError as error:
            assert len(str(error)) < 2000  # noqa: PT017  whatever was in it
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 500, outcomes
