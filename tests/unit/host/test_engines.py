"""Which engines are there: those whose program is on the caller's PATH."""

from pathlib import Path

from gpudock.host import engines
from gpudock.host.surroundings import Surroundings
from unit.recorded import Recorder, fill

PODMAN = (Path(__file__).parents[2] / "data/engines/podman-4.3.1.json").read_text()


def test_only_those_on_path_and_asked_for(tmp_path: Path) -> None:
    root = fill(tmp_path, {"/bin/podman": "", "/bin/crio": "", "/bin/docker": ""})
    for name in ("podman", "crio", "docker"):
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "bin/docker").chmod(0o644)
    run = Recorder({("podman", "info"): PODMAN, ("crio", "--version"): "crio version 1.30.4\n", ("crio", "config"): ""})
    around = Surroundings(root, root, {"PATH": f"/nowhere:{tmp_path}/bin"}, rootless=False)
    assert [(engine.name, engine.program) for engine in engines.read(run, around)] == [
        ("podman", f"{tmp_path}/bin/podman"),
        ("crio", f"{tmp_path}/bin/crio"),
    ]
    assert [engine.name for engine in engines.read(run, around, ["docker", "podman"])] == ["podman"]
    assert engines.read(run, Surroundings(root, root, {"PATH": "/nowhere"}, rootless=False)) == ()
