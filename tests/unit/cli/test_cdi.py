"""`gpudock cdi`: on the snapshot of a machine with files, and on specifications in a folder."""

import json
from pathlib import Path

import msgspec
import pytest
import yaml

from gpudock.cdi.validate import problems
from gpudock.cli.earlier import before
from gpudock.cli.options import HostOptions
from gpudock.errors import GpudockError, HostError, RefusedError, UsageError
from gpudock.facts.base import Missing
from gpudock.facts.engine import CdiSpecFile, Engine
from gpudock.facts.snapshot import Roots, Snapshot
from gpudock.host import codec
from gpudock.refresh import cycle
from gpudock.refresh.paths import default_paths
from unit import machines
from unit.cli.invoked import Outcome, invoked
from unit.engine import machine

IMEX = machines.node("/dev/nvidia-caps-imex-channels/channel0", 238, 0)
SIMULATED = "gpudock: SIMULATED: these GPUs are not real\n"


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where gpudock would keep things; specifications in cdi/."""
    for name in ("STATE", "RUN", "CDI", "LIBEXEC"):
        monkeypatch.setenv(f"GPUDOCK_{name}_DIR", str(tmp_path / name.lower()))
    (tmp_path / "cdi").mkdir()
    return tmp_path


@pytest.fixture
def facts(tmp_path: Path) -> Snapshot:
    """GPU 0, and GPU 1 in two MIG devices."""
    return machines.snapshot(machines.whole(tmp_path / "host").files(), mig={1: 2}, nodes=(IMEX,))


def written(folder: Path, facts: Snapshot) -> str:
    path = folder / "snapshot.json"
    path.write_bytes(codec.encode(facts))
    return str(path)


def run(*arguments: str) -> Outcome:
    return invoked("cdi", *arguments)


def generated(folder: Path, facts: Snapshot, *arguments: str) -> dict[str, object]:
    found = run("generate", "--snapshot", written(folder, facts), "--format", "json", *arguments)
    assert found.exit_code == 0, found.exception
    document = json.loads(found.stdout)
    assert problems(document) == []
    assert isinstance(document, dict)
    return document


def names(document: dict[str, object]) -> list[str]:
    devices = document["devices"]
    assert isinstance(devices, list)
    return [device["name"] for device in devices if "." not in device["name"]]


def refused(*arguments: str) -> GpudockError:
    error = run(*arguments).exception
    assert isinstance(error, GpudockError), error
    return error


def test_a_generated_specification_names_every_device(places: Path, facts: Snapshot) -> None:
    document = generated(places, facts, "--device-name-strategy", "index")
    assert names(document) == ["0", "1:0", "1:1", "all"]
    assert not (places / "state").exists()
    as_yaml = run("generate", "--snapshot", written(places, facts), "--device-name-strategy", "index")
    assert yaml.safe_load(as_yaml.stdout) == document
    assert "only printed" in as_yaml.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--device-id", "0"), ["0", "all"]),
        (("--device-ids", "0,1:1"), ["0", "1:1", "all"]),
        (("--device", "1:0", "--devices=0"), ["0", "1:0", "all"]),
        (("--device-id", "GPU-00000000"), ["0", "all"]),
        (("--device-id", "nvidia.com/gpu=0", "--no-all-device"), ["0"]),
        (("--device-id", "all"), ["0", "1:0", "1:1", "all"]),
    ],
)
def test_only_these_devices(places: Path, facts: Snapshot, arguments: tuple[str, ...], expected: list[str]) -> None:
    assert names(generated(places, facts, "--device-name-strategy", "index", *arguments)) == expected


@pytest.mark.parametrize(
    ("arguments", "kind", "says"),
    [
        (("--device-id", "none"), UsageError, "--device-id names no device"),
        (("--device-id", "7"), RefusedError, "asks for 7"),
        (("--device-id", "1"), RefusedError, "divided into MIG devices"),
        (("--device-id", "x y"), UsageError, "not the name of a GPU"),
        (("--vendor", "bad vendor"), UsageError, "--vendor 'bad vendor'|--vendor bad vendor"),
        (("--class", "a/b"), UsageError, "--class a/b"),
        (("--hook-path", "bin/hook"), UsageError, "--hook-path bin/hook is no absolute path"),
        (("--mode", "wsl"), RefusedError, "not WSL"),
        (("--mode", "gds"), RefusedError, "nothing for CDI mode gds"),
    ],
)
def test_what_makes_no_specification(
    places: Path, facts: Snapshot, arguments: tuple[str, ...], kind: type[GpudockError], says: str
) -> None:
    output = places / "out.yaml"
    error = refused("generate", "--snapshot", written(places, facts), "-o", str(output), *arguments)
    assert isinstance(error, kind)
    assert any(part in error.what for part in says.split("|"))
    assert not output.exists()


def test_another_hook_gets_the_plan(places: Path, facts: Snapshot) -> None:
    document = generated(places, facts, "--hook-path", "/opt/my-hook")
    edits = document["containerEdits"]
    assert isinstance(edits, dict)
    hook = edits["hooks"][0]
    assert (hook["path"], hook["args"][:2]) == ("/opt/my-hook", ["my-hook", "--plan"])
    assert hook["args"][2].startswith(f"{places}/run/plans/")


def test_what_is_beside_gpus_needs_no_gpu_and_no_driver(places: Path, facts: Snapshot) -> None:
    bare = msgspec.structs.replace(facts, gpus=(), driver=Missing("no libcuda"), nvml=Missing("no library"))
    document = generated(places, bare, "--mode", "imex")
    assert (document["kind"], names(document)) == ("nvidia.com/imex-channel", ["0", "all"])
    assert isinstance(refused("generate", "--snapshot", written(places, bare)), HostError)


@pytest.mark.parametrize(("podman", "expected"), [("4.3.1", False), ("5.4.0", True)])
def test_groups_only_where_every_engine_reads_them(
    places: Path, facts: Snapshot, podman: str, *, expected: bool
) -> None:
    engines = (Engine(name="podman", program="/usr/bin/podman", version=podman, cdi=True),)
    document = generated(places, msgspec.structs.replace(facts, engines=engines))
    assert ("additionalGids" in json.dumps(document)) is expected


def test_simulated_machines_are_said_to_be(places: Path, facts: Snapshot) -> None:
    roots = Roots(driver="/sim", dev="/sim", proc="/sim/proc", sys="/sim/sys", simulated=True)
    path = written(places, msgspec.structs.replace(facts, roots=roots))
    for verb in ("generate", "diff"):
        assert run(verb, "--snapshot", path).stderr.count(SIMULATED) == 1
    assert "SIMULATED" not in run("diff", "--snapshot", written(places, facts)).stderr


@pytest.mark.parametrize("simulated", [False, True])
def test_specifications_of_simulated_gpus_are_said_to_be(places: Path, *, simulated: bool) -> None:
    where = machine.places(places)
    plan = machine.own(where)
    plan["simulated"] = simulated
    plan_file = next(Path(where.plans).iterdir())
    plan_file.write_text(json.dumps(plan))
    expected = SIMULATED if simulated else ""
    listed = run("list", "--spec-dir", where.cdi)
    assert "nvidia.com/gpu=0.utility\n" in listed.stdout
    assert listed.stderr == expected
    shown = run("show")
    assert yaml.safe_load(shown.stdout)["kind"] == "nvidia.com/gpu"
    assert shown.stderr == expected
    one = run("show", "nvidia.com/gpu=0", "--spec-dir", where.cdi)
    assert [device["name"] for device in yaml.safe_load(one.stdout)["devices"]] == ["0"]
    assert one.stderr == expected
    plan_file.write_text("{")
    assert run("list", "--spec-dir", where.cdi).stderr == ""


def test_nothing_of_a_specification_reaches_the_terminal_raw(places: Path) -> None:
    devices = [{"name": "\x1b]0;title\x07", "containerEdits": {"env": ["A=\x1b[31m"]}}]
    spec = places / "cdi/hostile.yaml"
    spec.write_text(json.dumps({"cdiVersion": "0.5.0", "kind": "x.y/\x1b[2J", "devices": devices}))
    (places / "cdi/broken\x1b.json").write_text("\x1b: [")
    for arguments in (
        ("list", "--spec-dir", str(places / "cdi")),
        ("validate", str(spec), "--driver-root", str(places / "cdi")),
        ("show", str(spec)),
        ("show", "x.y/\x1b[2J=\x1b]0;title\x07", "--spec-dir", str(places / "cdi")),
    ):
        found = run(*arguments)
        assert found.stdout + found.stderr
        assert "\x1b" not in (found.stdout + found.stderr)
        assert "\x07" not in (found.stdout + found.stderr)


def test_devices_that_nobody_defines(places: Path) -> None:
    assert "no CDI devices" in run("list", "--spec-dir", str(places / "cdi")).stderr
    assert isinstance(refused("show", "nvidia.com/gpu=9", "--spec-dir", str(places / "cdi")), RefusedError)


def test_validate_counts_what_is_wrong(places: Path) -> None:
    empty = places / "empty"
    empty.mkdir()
    kind = {"kind": "test.example/own"}  # whatever this machine's own specifications define
    right = machine.foreign(places / "right", changes=kind)
    where = ("--driver-root", str(empty))
    found = run("validate", str(right), *where)
    assert found.exit_code == 5
    assert "/bin/sh has no environment of its own" in found.stdout
    wrong = machine.foreign(places / "wrong", changes={"kind": "nokind"})
    found = run("validate", str(wrong), *where)
    assert found.stdout.startswith(f"{wrong}: wrong (1)\n  kind 'nokind'")
    good = machine.foreign(places / "good", changes={**kind, "containerEdits": {}})
    assert (run("validate", str(good), *where).stdout, run("validate", str(good), *where).exit_code) == (
        f"{good}: ok\n",
        0,
    )


def test_validate_is_about_this_machine(places: Path, facts: Snapshot) -> None:
    assert isinstance(refused("validate", "--snapshot", written(places, facts)), UsageError)


def test_diff_counts_first(places: Path, facts: Snapshot) -> None:
    path = written(places, facts)
    first = run("diff", "--snapshot", path)
    lines = first.stdout.splitlines()
    added = len([line for line in lines if line.startswith("+- name:")])
    assert added > 4
    assert (first.exit_code, lines[0]) == (1, f"devices: {added} added, 0 removed, 0 changed")
    assert lines[1] == f"--- {places}/cdi/gpudock.json"
    whole = json.loads(run("generate", "--snapshot", path, "--format", "json").stdout)
    spec = places / "cdi/gpudock.json"
    spec.write_text(json.dumps(whole))
    same = run("diff", "--snapshot", path)
    assert (same.exit_code, same.stdout) == (0, f"{spec} is up to date\n")
    whole["devices"][0]["containerEdits"]["env"] = ["A=1"]
    whole["devices"][1]["name"] = "old"
    spec.write_text(json.dumps(whole))
    assert run("diff", "--snapshot", path).stdout.startswith("devices: 1 added, 1 removed, 1 changed\n")


def test_without_options_it_is_the_machine_of_the_last_refresh(places: Path) -> None:
    where = default_paths()
    Path(where.source).parent.mkdir(parents=True)
    gone = Roots(driver="/nowhere", dev="/nowhere", proc="/proc", sys="/sys", simulated=True)
    Path(where.source).write_bytes(msgspec.json.encode(cycle.Source(roots=gone, library_links=False)))
    spec = machine.foreign(places / "specs")
    for arguments in (("diff",), ("validate", str(spec))):
        assert "/nowhere is gone" in refused(*arguments).what
    assert before(HostOptions(driver_root="/"), where).host == HostOptions(driver_root="/")


def test_diff_beside_somebody_elses_specification(places: Path, facts: Snapshot) -> None:
    theirs = CdiSpecFile(path="/etc/cdi/nvidia.yaml", kind="nvidia.com/gpu", version="0.5.0", devices=("all",))
    path = written(places, msgspec.structs.replace(facts, cdi_specs=(theirs,)))
    found = run("diff", "--snapshot", path)
    assert found.exit_code == 0
    assert found.stdout.startswith("/etc/cdi/nvidia.yaml already defines these devices")
    assert "leave it alone and write none" in found.stdout
    machine.own(machine.places(places))
    found = run("diff", "--snapshot", path)
    assert found.exit_code == 1
    assert f"would remove {places}/cdi/gpudock.json" in found.stdout
