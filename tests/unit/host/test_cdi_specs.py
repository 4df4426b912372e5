"""CDI specifications that lie about, ours and others', good and broken."""

from pathlib import Path

import pytest

from gpudock.facts.base import Missing
from gpudock.facts.engine import CdiSpecFile
from gpudock.host import cdi_specs
from unit.recorded import fill

NVIDIA = """\
---
cdiVersion: 0.5.0
kind: nvidia.com/gpu
devices:
- name: "0"
  containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
- name: all
containerEdits:
  hooks:
  - hookName: createContainer
    path: /usr/bin/nvidia-cdi-hook
    args: [nvidia-cdi-hook, update-ldcache, --folder, /usr/lib]
"""
OURS = (
    '{"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [{"name": "0"}], "containerEdits": {"hooks": ['
    '{"hookName": "createContainer", "path": "/usr/libexec/gpudock/gpudock-hook", '
    '"args": ["gpudock-hook", "--plan", "/run/gpudock/plans/0123456789abcdef.json"]}]}}'
)


def one(folder: Path, name: str, content: str | bytes) -> CdiSpecFile:
    (spec,) = cdi_specs.read(fill(folder, {f"/etc/cdi/{name}": content}))
    return spec


def test_nvidias_own(tmp_path: Path) -> None:
    assert one(tmp_path, "nvidia.yaml", NVIDIA) == CdiSpecFile(
        path="/etc/cdi/nvidia.yaml", kind="nvidia.com/gpu", version="0.5.0", devices=("0", "all")
    )


def test_ours_names_its_plan(tmp_path: Path) -> None:
    assert one(tmp_path, "gpudock.json", OURS).plan == "0123456789abcdef"
    annotated = (
        'cdiVersion: 0.6.0\nkind: nvidia.com/gpu\ndevices: []\nannotations: {gpudock.plan: "fedcba9876543210"}\n'
    )
    assert one(tmp_path, "gpudock.json", annotated).plan is None, "what the hook runs with is what counts"


def test_flow_yaml_is_no_json_but_readable(tmp_path: Path) -> None:
    assert one(tmp_path, "a.yaml", "{cdiVersion: 0.5.0, kind: a.b/c, devices: [{name: x}]}").devices == ("x",)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "Expected `object`"),
        ("kind: [", "while parsing"),
        ("cdiVersion: 0.5.0\nkind: a.b/c\ndevices: {}\n", "Expected `array`"),
        ("cdiVersion: 0.5\nkind: a.b/c\ndevices: []\n", "Expected `str`, got `float`"),
        ('{"kind": "a.b/c"}', "missing required field"),
        ("[" * 5000, ""),
        ("{" * 5000, ""),
        (b"\xff\xfe\x00", ""),
        ("a: &a [*a, *a]\nkind: *a\n", "it uses aliases"),
        ("- " * 100_000, ""),
        (" " * (cdi_specs.LIMIT + 1), "larger than 4 MiB"),
        ("kind: 2024-13-45\n", "month must be in 1..12"),
        ('kind: !!int ""\n', "index out of range"),
        ("kind: !!bool x\n", "x"),
        ("kind: !!timestamp x\n", "NoneType"),
    ],
)
def test_broken_files_have_no_kind(tmp_path: Path, content: str | bytes, reason: str) -> None:
    spec = one(tmp_path, "bad.yaml", content)
    assert isinstance(spec.kind, Missing)
    assert reason in spec.kind.reason
    assert spec.kind.reason.isprintable()


def test_only_json_and_yaml_of_the_given_folders(tmp_path: Path) -> None:
    files = {
        "/etc/cdi/a.json.bak": OURS,
        "/var/run/cdi/b.json": OURS,
        "/home/u/cdi/c.yaml": NVIDIA,
        "/etc/cdi/d.yml": OURS,
    }
    root = fill(tmp_path, files)
    assert [spec.path for spec in cdi_specs.read(root)] == ["/var/run/cdi/b.json"]
    assert [spec.path for spec in cdi_specs.read(root, ["/home/u/cdi", "/nowhere"])] == ["/home/u/cdi/c.yaml"]


def test_a_folder_that_is_called_like_a_specification(tmp_path: Path) -> None:
    (spec,) = cdi_specs.read(fill(tmp_path, {"/etc/cdi/x.json/file": ""}))
    assert spec.kind == Missing("it cannot be read: Is a directory")
