"""gpudock init as it is called, and lock --check against snapshots of other machines."""

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from gpudock import proc
from gpudock.cli import env_session
from gpudock.cli.main import main
from gpudock.env import owner, recipe_file
from gpudock.env.choose.machine import Machine
from gpudock.env.image import lock, requirements
from unit.env.locks import LOCK
from unit.recorded import Recorder

MACHINE = env_session.machine
SNAPSHOT = Path(__file__).parents[2] / "data/h200/snapshot.json"


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    found = env_session.machine
    monkeypatch.setattr(
        env_session,
        "machine",
        lambda snapshot, session=None: found(snapshot, session) if snapshot else Machine("580.65.06", (("T4", "7.5"),)),
    )


def call(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_new_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "environment.yml").write_text("dependencies: [python=3.11, pytorch]\n")
    assert call("init", "-C", str(tmp_path)) == 0
    assert "Next: gpudock up" in capsys.readouterr().out
    found = recipe_file.load(str(tmp_path))
    assert found.conda_environment == "environment.yml"
    assert found.gpus == "1"
    assert json.loads((tmp_path / ".gpudock/schema.json").read_text())["title"] == "gpudock.yaml"


def test_nothing_is_imported_with_a_persons_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def acting(_who: owner.Owner, _folder: str) -> Iterator[None]:
        monkeypatch.setattr(sys, "path", [])
        monkeypatch.setattr(sys, "meta_path", [])
        yield
        monkeypatch.undo()

    monkeypatch.setattr(owner, "acting", acting)
    for name in ("json", "gpudock.env.recipe.schema"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert call("init", "--template", "plain", "-C", str(tmp_path)) == 0


@pytest.mark.parametrize("template", ["pytorch", "tensorflow", "jax", "cuda", "plain"])
def test_each_template(tmp_path: Path, template: str) -> None:
    assert call("env", "init", "--template", template, "-C", str(tmp_path), "--name", "Seg Exp") == 0
    assert recipe_file.load(str(tmp_path)).name == "Seg Exp"


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "gpudock.yaml").symlink_to("nowhere")
    assert call("init", "-C", str(tmp_path)) == 5
    assert "is there already" in capsys.readouterr().err
    assert sorted(each.name for each in tmp_path.iterdir()) == ["gpudock.yaml"]


def test_on_a_terminal_it_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal("what\n3\nn\n"))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert call("init", "-C", str(tmp_path)) == 0
    assert "what is none of them" in capsys.readouterr().err
    found = recipe_file.load(str(tmp_path))
    assert found.framework_name == "jax"
    assert not found.services


def locked(folder: Path) -> None:
    (folder / "gpudock.yaml").write_text("name: x\n")
    recipe = recipe_file.load(str(folder))
    told = msgspec.structs.replace(LOCK, recipe=lock.recipe_hash(recipe, requirements.read(recipe, str(folder)).files))
    (folder / "gpudock.lock").write_bytes(lock.encode(told))


def test_lock_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    locked(tmp_path)
    older = tmp_path / "older.json"
    older.write_bytes(SNAPSHOT.read_bytes().replace(b"580.159.04", b"470.82.01"))
    check = ("lock", "--check", "-C", str(tmp_path))
    assert call(*check, "--for", str(SNAPSHOT)) == 0
    assert "driver 525.60.13 or newer" in capsys.readouterr().out
    assert call(*check, "--for", str(older)) == 5
    said = capsys.readouterr().err
    assert "needs driver 525.60.13 or newer, and 470.82.01 is loaded" in said
    assert call(*check) == 5  # no code for 7.5 in the lock
    (tmp_path / "gpudock.yaml").write_text("name: x\nrun: [more]\n")
    assert call(*check, "--for", str(SNAPSHOT)) == 3
    (tmp_path / "gpudock.lock").unlink()
    assert call(*check) == 3


def test_lock_check_of_an_engine_elsewhere_is_of_its_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docker").touch(0o755)
    older = SNAPSHOT.read_text().replace("580.159.04", "470.82.01")
    monkeypatch.setattr(proc, "run", Recorder({("docker",): '{"ServerVersion": "28.5.2"}', ("ssh",): older}))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", "ssh://lab")
    monkeypatch.setattr(env_session, "machine", MACHINE)
    locked(tmp_path)
    assert call("lock", "--check", "-C", str(tmp_path)) == 5
    said = capsys.readouterr().err
    assert "the machine of ssh://lab" in said
    assert "470.82.01 is loaded" in said


def test_what_cannot_run_there_needs_no_engine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no engine
    (tmp_path / "gpudock.yaml").write_text('framework: {pytorch: "2.13"}\n')
    (tmp_path / "older.json").write_bytes(SNAPSHOT.read_bytes().replace(b"580.159.04", b"470.82.01"))
    assert call("lock", "-C", str(tmp_path), "--for", str(tmp_path / "older.json")) == 5
    assert "pytorch 2.7 with CUDA 11.8" in capsys.readouterr().err
    assert call("lock", "-C", str(tmp_path), "--for", str(SNAPSHOT)) == 6


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("env", "schema") == 0
    assert json.loads(capsys.readouterr().out)["title"] == "gpudock.yaml"
