"""The whole program in root's hands. That it runs: tests/real."""

import importlib.metadata
import os
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from gpudock import publish
from gpudock.errors import HostError
from gpudock.proc import Command, Result
from gpudock.refresh import install, program
from unit.recorded import Recorder

PYTHON = next(path for path in install.PYTHONS if os.path.exists(path))


def runner(tag: str | None = sys.implementation.cache_tag) -> Recorder:
    ask = (os.path.basename(PYTHON), "-I", "-S", "-c")
    return Recorder(
        {
            (*ask, "import sys; print(sys.implementation.cache_tag)"): f"{tag}\n",
            (*ask, "import sys; print(*sys.version_info[:2])"): "3 11\n",
        }
    )


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages: copying all of them takes seconds."""
    monkeypatch.setattr(program, "DEPENDENCIES", ("click", "msgspec", "PyYAML"))
    monkeypatch.setattr(program, "OPTIONAL", ("not-installed-here",))


@pytest.mark.usefixtures("few")
def test_it_is_whole_on_disk_and_behind_one_path(tmp_path: Path, synced: list[str]) -> None:
    path = program.installed(str(tmp_path), run=runner())
    assert path == f"{tmp_path}/current/bin/gpudock"
    made = (tmp_path / "current").resolve()
    assert Path(path).read_text().startswith(f"#!{PYTHON} -I\n")
    assert {"gpudock", "click", "msgspec", "yaml"} <= set(os.listdir(made / "lib"))
    staging = next(name for name in synced if name.endswith("/bin/gpudock")).removesuffix("/bin/gpudock")
    below = {name.removeprefix(staging) for name in synced if name.startswith(staging)}
    assert below == {str(name).removeprefix(str(made)) for name in (made, *made.rglob("*"))}


@pytest.mark.usefixtures("few")
def test_it_is_made_once_unless_others_can_change_it(tmp_path: Path) -> None:
    path = Path(program.installed(str(tmp_path), run=runner()))
    made = path.parent.parent.resolve()
    before = made.stat().st_ino
    program.installed(str(tmp_path), run=runner())
    assert made.stat().st_ino == before
    good = path.read_text()
    for bad in (path, made):
        path.write_text("evil")
        bad.chmod(0o777)
        program.installed(str(tmp_path), run=runner())
        assert path.read_text() == good
    assert sorted(os.listdir(tmp_path)) == sorted([made.name, "current"])


@pytest.mark.usefixtures("few")
def test_versions_that_were_replaced_long_ago_go(tmp_path: Path) -> None:
    old = tmp_path / "0.0.1-0123456789ab"
    (old / "lib").mkdir(parents=True)
    (tmp_path / "current").symlink_to(old.name)
    os.utime(old, (0, 0))
    program.installed(str(tmp_path), run=runner())
    assert old.exists()  # it was in use until now
    long_ago = time.time() - install.OLD - 60
    os.utime(old, (long_ago, long_ago))
    program.installed(str(tmp_path), run=runner())
    assert not old.exists()


@pytest.mark.usefixtures("few")
def test_after_an_upgrade_of_python_one_sentence_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = sys.implementation.cache_tag
    entry = Path(program.installed(str(tmp_path), run=runner())).read_text()
    monkeypatch.setattr(sys.implementation, "cache_tag", "cpython-399")
    with pytest.raises(SystemExit) as ended:
        exec(compile(entry, "gpudock", "exec"), {})
    assert ended.value.code == HostError.exit_code
    said = capsys.readouterr().err
    assert f"made for {tag}, and {PYTHON} is now cpython-399." in said
    assert f"pipx reinstall --python {PYTHON} gpudock; " in said
    assert 'then sudo "$(command -v gpudock)" refresh --install-units\n' in said


@pytest.mark.usefixtures("few")
def test_a_copy_for_another_python_is_another_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(program.installed(str(tmp_path), run=runner()))
    monkeypatch.setattr(sys.implementation, "cache_tag", "cpython-399")
    program.installed(str(tmp_path), run=runner("cpython-399"))
    assert "'cpython-399'" in path.read_text()


@pytest.mark.usefixtures("few")
def test_packages_that_are_not_installed_as_such_cannot_be_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(name: str) -> object:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", unknown)
    with pytest.raises(HostError, match="the package click is not installed") as told:
        program.installed(str(tmp_path), run=runner())
    assert "pipx" in told.value.mend
    assert os.listdir(tmp_path) == []


def test_another_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="cpython-27"):
        program.installed(str(tmp_path), run=runner("cpython-27"))
    assert os.listdir(tmp_path) == []


def test_what_a_user_of_this_environment_can_do_root_can_do_with_the_copy(tmp_path: Path) -> None:
    """Everything that pyproject.toml names, with what that requires, is there: and nothing that only tests need."""
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert {each.lower() for each in program.DEPENDENCIES} == {*map(name_of, project["dependencies"])}
    assert set(program.OPTIONAL) == {name_of(each) for extra in ("web", "tui") for each in extras[extra]}
    for name, path in program._files().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(path)
    modules = (
        "argon2, rich.table, ruamel.yaml, jinja2, tomlkit, linkify_it, pygments, starlette, anyio, uvicorn, textual.app"
    )
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {modules}"
    subprocess.run([PYTHON, "-I", "-S", "-c", script], check=True)
    assert not {"pytest", "ruff", "playwright"} & set(os.listdir(tmp_path))


def name_of(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement)[0].lower()


@pytest.mark.usefixtures("few")
def test_where_the_systems_python_is_older_its_own_copy_of_ours_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ubuntu 22.04: python3 is 3.10, and python3.11 stands beside it."""
    beside = f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
    asked: list[str] = []

    def run(command: Command) -> Result:
        asked.append(command.argv[0])
        if command.argv[0] == beside:
            return Result(0, f"{sys.implementation.cache_tag}\n", "")
        return runner("cpython-310")(command)

    there = os.path.exists
    monkeypatch.setattr(os.path, "exists", lambda path: path == beside or there(path))
    monkeypatch.setattr(publish, "insecure", lambda _: None)
    made = program.installed(str(tmp_path), run=run)
    assert asked[-1] == beside
    assert Path(made).read_text().startswith(f"#!{beside} -I\n")
