"""The code that runs at container start, put where only root can change it. With a real Python: tests/real."""

import json
import os
import stat
import time
from pathlib import Path

import pytest

import gpudock
from gpudock.errors import HostError
from gpudock.proc import Result
from gpudock.refresh import install
from unit.recorded import Recorder

PYTHON = next(path for path in install.PYTHONS if os.path.exists(path))
PROGRAMS = ("gpudock-runtime", "nvidia-container-runtime-hook")
PACKAGE = Path(gpudock.__file__).parent


def runner(version: str = "3 11\n", compiled: Result | str = "") -> Recorder:
    name = os.path.basename(PYTHON)
    return Recorder({(name, "-I", "-S", "-c"): version, (name, "-I", "-S", "-B"): compiled})


def test_what_is_installed_is_plan_start_and_their_entry(tmp_path: Path) -> None:
    hook = install.installed(str(tmp_path), run=runner())
    assert hook == (PYTHON, "python3", "-I", "-S", "-E", "-B", "-X", "utf8", f"{tmp_path}/current/hook.py")
    assert install.planned(str(tmp_path)) == hook
    current = tmp_path / "current"
    assert os.readlink(current).startswith(f"{gpudock.__version__}-")
    assert sorted(os.listdir(current)) == [
        *("entry.py", "gpudock", "gpudock-runtime", "hook.py", "nvidia-container-runtime-hook"),
        *("python", "runtime.py", "settings.json"),
    ]
    assert sorted(os.listdir(current / "gpudock")) == ["__init__.py", "errors.py", "plan", "start"]
    for room in ("plan", "start"):
        sources = {path.name: path.read_bytes() for path in (PACKAGE / room).glob("*.py")}
        assert {path.name: path.read_bytes() for path in (current / "gpudock" / room).iterdir()} == sources
    assert (current / "hook.py").read_bytes() == (PACKAGE / "start/launch.py").read_bytes()


def test_the_administrators_look_up_reaches_hook_and_runtime(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[runtime]\nlookup = "openat2"\n')
    hook = install.installed(str(tmp_path / "libexec"), config=str(config), run=runner())
    assert hook[-2:] == ("--lookup", "openat2")
    assert json.loads((tmp_path / "libexec/current/settings.json").read_text())["lookup"] == "openat2"


def test_it_is_compiled_by_the_python_that_runs_it_with_no_environment(tmp_path: Path) -> None:
    recorder = runner()
    install.installed(str(tmp_path), run=recorder)
    compile_command = recorder.asked[-1]
    assert compile_command.argv[:4] == (PYTHON, "-I", "-S", "-B")
    assert compile_command.argv[-2:] == ("gpudock.start.hook", "gpudock.start.runtime")
    assert all(command.env == {} for command in recorder.asked)


def test_a_second_time_nothing_happens(tmp_path: Path) -> None:
    install.installed(str(tmp_path), run=runner())
    before = sorted((path, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*"))
    recorder = runner()
    install.installed(str(tmp_path), run=recorder)
    assert recorder.asked == []
    assert sorted((path, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


def test_another_python_compiles_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual, pythons = tmp_path / "usual/python3", [tmp_path / f"python3.{minor}" for minor in (11, 12)]
    for each in pythons:
        each.write_text("#!")
        each.chmod(0o755)
        os.utime(each, (1, 1))
    usual.parent.mkdir()
    monkeypatch.setattr(install, "PYTHONS", (str(usual),))
    monkeypatch.setattr(install, "insecure", lambda _: None)  # who may change the folder of tests is not known

    def changed() -> bool:
        recorder = runner()
        install.installed(str(tmp_path / "libexec"), run=recorder)
        return recorder.asked != []

    usual.symlink_to(pythons[0])
    assert (changed(), changed()) == (True, False)
    usual.unlink()
    usual.symlink_to(pythons[1])  # another minor version, of the same size and age
    assert (changed(), changed()) == (True, False)
    os.utime(pythons[1], (2, 2))  # the same name, another build
    assert (changed(), changed()) == (True, False)
    pythons[1].write_text("#!!")
    os.utime(pythons[1], (2, 2))
    assert (changed(), changed()) == (True, False)


def test_current_is_switched_back_to_this_version(tmp_path: Path) -> None:
    install.installed(str(tmp_path), run=runner())
    wanted = os.readlink(tmp_path / "current")
    (tmp_path / "0.0-newer").mkdir()
    install.switch(str(tmp_path), "0.0-newer")
    assert os.readlink(tmp_path / "current") == "0.0-newer"
    install.installed(str(tmp_path), run=runner())
    assert os.readlink(tmp_path / "current") == wanted
    assert sorted(os.listdir(tmp_path)) == sorted(["0.0-newer", "current", wanted])


@pytest.mark.parametrize("umask", [0o000, 0o077], ids=oct)
def test_nobody_else_can_write_and_everybody_can_read(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        install.installed(str(tmp_path / "libexec"), run=runner())
    finally:
        os.umask(before)
    for path in (tmp_path / "libexec", *(tmp_path / "libexec").rglob("*")):
        if not path.is_symlink():
            assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() or path.name in PROGRAMS else 0o644), (
                path
            )


def test_what_does_not_compile_is_not_installed(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="compile") as caught:
        install.installed(str(tmp_path), run=runner(compiled=Result(1, "", "SyntaxError")))
    assert caught.value.why == "SyntaxError"
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HostError, match=str(tmp_path / "file")):
        install.installed(str(tmp_path / "file/libexec"), run=runner())


@pytest.mark.parametrize("version", ["3 8\n", "2 7\n", "", "three eleven\n"])
def test_a_python_that_is_too_old_or_none_is_refused(version: str) -> None:
    with pytest.raises(HostError, match="No Python") as caught:
        install.system_python(runner(version))
    assert PYTHON in caught.value.why
    assert "3.9" in caught.value.mend


def test_an_installed_folder_that_others_can_change_is_replaced(tmp_path: Path) -> None:
    install.installed(str(tmp_path), run=runner())
    hook = tmp_path / "current/hook.py"
    good = hook.read_bytes()
    for bad in (hook, hook.parent.resolve()):
        hook.write_text("evil")
        bad.chmod(0o777)
        install.installed(str(tmp_path), run=runner())
        assert hook.read_bytes() == good
        assert (stat.S_IMODE(hook.stat().st_mode), stat.S_IMODE(hook.parent.stat().st_mode)) == (0o644, 0o755)
    assert len(os.listdir(tmp_path)) == 2


def test_a_link_in_the_installed_folders_place_is_replaced(tmp_path: Path) -> None:
    install.installed(str(tmp_path / "libexec"), run=runner())
    folder = (tmp_path / "libexec/current").resolve()
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    install.installed(str(tmp_path / "libexec"), run=runner())
    assert not folder.is_symlink()
    assert (tmp_path / "elsewhere/hook.py").exists()


def test_what_was_replaced_long_ago_and_what_a_kill_left_go(tmp_path: Path) -> None:
    install.installed(str(tmp_path), run=runner())
    now = os.readlink(tmp_path / "current")
    old, staging, link, theirs = "0.1-0123456789ab", ".0.1-0123456789ab.0123abcd.tmp", ".current.0123abcd.tmp", "mine"
    for name in (old, staging, theirs):
        (tmp_path / name / "gpudock").mkdir(parents=True)
    (tmp_path / link).symlink_to("nowhere")
    install.installed(str(tmp_path), run=runner())
    assert sorted(os.listdir(tmp_path)) == sorted([old, staging, link, theirs, "current", now])
    long_ago = time.time() - install.OLD - 60
    for name in (old, staging, link, theirs, now):
        os.utime(tmp_path / name, (long_ago, long_ago), follow_symlinks=False)
    install.installed(str(tmp_path), run=runner())
    assert sorted(os.listdir(tmp_path)) == sorted([theirs, "current", now])


def test_what_was_current_until_now_is_not_yet_old(tmp_path: Path) -> None:
    """A hook that was started a moment ago still reads its files."""
    old = tmp_path / "0.1-0123456789ab"
    old.mkdir()
    os.utime(old, (0, 0))
    (tmp_path / "current").symlink_to(old.name)
    install.installed(str(tmp_path), run=runner())
    assert old.exists()


def test_all_of_it_is_on_disk_before_it_has_its_name(tmp_path: Path, synced: list[str]) -> None:
    install.installed(str(tmp_path), run=runner())
    made = (tmp_path / "current").resolve()
    (staging,) = {path.split("/")[len(tmp_path.parts)] for path in synced if path.endswith("/hook.py")}
    below = {path.removeprefix(f"{tmp_path}/{staging}") for path in synced if path.startswith(f"{tmp_path}/.")}
    assert below == {str(path).removeprefix(str(made)) for path in (made, *made.rglob("*"))}
    assert synced[-1] == str(tmp_path)
