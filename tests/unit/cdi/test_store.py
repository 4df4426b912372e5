"""Specifications on disk."""

import os
from pathlib import Path

import pytest

from gpudock.cdi import codec, project, store
from gpudock.cdi.validate import problems
from gpudock.errors import InputError
from unit.cdi.specs import OPTIONS, plan

SPEC = project.gpus(plan(1), OPTIONS._replace(filtered=False, strategies=("index",)))


def test_found_in_both_formats_and_broken_ones_too(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_bytes(codec.encode(SPEC, "yaml"))
    (tmp_path / "a.json").write_bytes(codec.encode(SPEC, "json"))
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / ".a.json.tmp").write_text("{")
    (tmp_path / ".hidden.json").write_text("{}")
    (tmp_path / "README").write_text("text")
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "fifo.yaml")
    (tmp_path / "dangling.json").symlink_to("nowhere")
    found = {os.path.basename(spec.path): spec for spec in store.found((str(tmp_path), str(tmp_path / "missing")))}
    assert set(found) == {"a.json", "b.yaml", "broken.json", "folder.json", "fifo.yaml", "dangling.json"}
    assert {name for name, spec in found.items() if spec.error is None} == {"a.json", "b.yaml"}
    assert found["a.json"].kind == "nvidia.com/gpu"
    assert found["a.json"].devices() == found["b.yaml"].devices() == ["0", "all"]
    assert found["broken.json"].devices() == []


@pytest.mark.parametrize("devices", ["0", [1, {}, {"name": "0"}], {"name": "0"}, None])
def test_names_as_far_as_there_are_any(devices: object) -> None:
    assert store.SpecFile("x", {"devices": devices}).devices() == (["0"] if isinstance(devices, list) else [])


def test_too_large_or_unreadable(tmp_path: Path) -> None:
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(store.LIMIT + 1)
    (spec,) = store.found((str(tmp_path),))
    assert spec.error
    with pytest.raises(InputError, match=str(tmp_path / "missing")):
        store.load(str(tmp_path / "missing"))


def test_reading_leaves_no_descriptor_open(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    before = len(os.listdir("/proc/self/fd"))
    list(store.found((str(tmp_path),)))
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_machine_that_a_specification_is_compared_with(tmp_path: Path) -> None:
    own, other = tmp_path / "gpudock.json", tmp_path / "nvidia.yaml"
    for path in (own, other):
        path.write_bytes(codec.encode(SPEC, "json"))
    (tmp_path / "again.json").symlink_to("gpudock.json")
    machine = store.machine(str(own), driver=None, folders=(str(tmp_path),))
    assert machine.others["nvidia.com/gpu=0"] == str(other)
    assert machine.readable
    assert machine.device("/dev/null") == (1, 3)
    for odd in ("/dev", "/etc/passwd", "/missing", "/dev/nu\0ll", "\udcff\ud800"):
        assert machine.device(odd) is None
    assert machine.exists("/dev/null")
    assert not machine.exists("\0")
    own.chmod(0o600)
    assert not store.machine(str(own), driver=None, folders=()).readable
    assert any("/dev/nvidia0" in problem for problem in problems(dict(SPEC), machine))
