"""The hook's own decisions; it runs as a process in tests/real."""

from pathlib import Path

import pytest

from gpudock.errors import RefusedError, UsageError
from gpudock.start import hook
from gpudock.start.rootfs import Rootfs
from unit.plan.plans import plan_with


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


@pytest.mark.parametrize("argv", [[], ["--plan"], ["--plan", "relative"], ["/plan"], ["--plan", "/a", "/b"]])
def test_usage(argv: list[str]) -> None:
    with pytest.raises(UsageError):
        hook._plan_path(argv)
    assert hook._plan_path(["--plan", "/run/gpudock/plans/a.json"]) == "/run/gpudock/plans/a.json"


def test_messages_are_one_short_line(capfd: pytest.CaptureFixture[str]) -> None:
    hook.say("first\nsecond\x1b[31m\udc80\u2028" + "\N{SNOWMAN}" * 5000)
    text = capfd.readouterr().err
    assert text.startswith("gpudock-hook: first?second?[31m??\N{SNOWMAN}")
    assert text.count("\n") == 1
    assert len(text.encode(errors="surrogateescape")) <= 4096
