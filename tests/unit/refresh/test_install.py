"""The code that runs at container start, put where only root can change it. With a real Python: tests/real."""

import os
import stat
from pathlib import Path

import pytest

import gpudock
from gpudock.errors import HostError
from gpudock.proc import Result
from gpudock.refresh import install
from unit.recorded import Recorder

PYTHON = next(path for path in install.PYTHONS if os.path.exists(path))
PACKAGE = Path(gpudock.__file__).parent


def runner(version: str = "3 11\n", compiled: Result | str = "") -> Recorder:
    name = os.path.basename(PYTHON)
    return Recorder({(name, "-I", "-S", "-c"): version, (name, "-I", "-S", "-m", "compileall"): compiled})


def test_what_is_installed_is_plan_start_and_their_entry(tmp_path: Path) -> None:
    hook = install.installed(str(tmp_path), run=runner())
    assert hook == (PYTHON, "python3", "-I", "-S", "-E", "-B", "-X", "utf8", f"{tmp_path}/current/hook.py")
    assert install.planned(str(tmp_path)) == hook
    current = tmp_path / "current"
    assert os.readlink(current).startswith(f"{gpudock.__version__}-")
    assert sorted(os.listdir(current)) == ["gpudock", "hook.py", "python"]
    assert sorted(os.listdir(current / "gpudock")) == ["__init__.py", "errors.py", "plan", "start"]
    for room in ("plan", "start"):
        sources = {path.name: path.read_bytes() for path in (PACKAGE / room).glob("*.py")}
        assert {path.name: path.read_bytes() for path in (current / "gpudock" / room).iterdir()} == sources
    assert (current / "hook.py").read_bytes() == (PACKAGE / "start/entry_hook.py").read_bytes()


def test_it_is_compiled_by_the_python_that_runs_it_with_no_environment(tmp_path: Path) -> None:
    recorder = runner()
    install.installed(str(tmp_path), run=recorder)
    compile_command = recorder.asked[-1]
    assert compile_command.argv[:5] == (PYTHON, "-I", "-S", "-m", "compileall")
    assert all(command.env == {} for command in recorder.asked)


def test_a_second_time_nothing_happens(tmp_path: Path) -> None:
    install.installed(str(tmp_path), run=runner())
    before = sorted((path, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*"))
    recorder = runner()
    install.installed(str(tmp_path), run=recorder)
    assert recorder.asked == []
    assert sorted((path, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


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
            assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644), path


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


class TestWhoCanChangeIt:
    @pytest.fixture
    def python(self, tmp_path: Path) -> Path:
        for folder in ("real", "links"):
            (tmp_path / folder).mkdir(0o755)
        (tmp_path / "real/python").touch(0o755)
        (tmp_path / "links/python").symlink_to("../real/python")
        return tmp_path / "links/python"

    def test_nobody(self, python: Path) -> None:
        assert install._problem(str(python)) is None

    @pytest.mark.parametrize("path", ["real/python", "real", "links"])
    @pytest.mark.parametrize("mode", [0o775, 0o757])
    def test_who_may_write_the_file_its_folder_or_the_links_folder(self, python: Path, path: str, mode: int) -> None:
        (python.parent.parent / path).chmod(mode)
        assert path in (install._problem(str(python)) or "")

    def test_a_sticky_folder_keeps_its_entries(self, python: Path) -> None:
        python.parent.chmod(0o1777)
        assert install._problem(str(python)) is None

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
    @pytest.mark.parametrize("path", ["real/python", "real", "links", "links/python"])
    def test_who_owns_one_of_them(self, python: Path, path: str) -> None:
        os.chown(python.parent.parent / path, 12345, -1, follow_symlinks=False)
        assert path in (install._problem(str(python)) or "")
