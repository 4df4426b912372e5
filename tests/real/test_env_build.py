"""From gpudock.yaml to an image, on real engines: locked, built again from the same lock, with GPUs in a step."""

import json
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from real.harness import engines, images
from real.harness.commands import run
from real.harness.engines import Engine
from real.harness.product import Product, product
from real.harness.registry import registry

pytestmark = pytest.mark.real

HOST = ("--network", "host")  # the engines of these tests have no other


@pytest.fixture(scope="module")
def gpudock(session_root: Path) -> Iterator[Product]:
    with product(session_root) as made:
        yield made


def call(gpudock: Product, engine: Engine, folder: Path, *words: str, check: bool = True) -> CompletedProcess[str]:
    """gpudock env WORDS in a project's folder."""
    name = "podman" if engine.name == "podman" else "docker"
    return gpudock("env", *words, "-C", str(folder), "--engine", name, env=engine.env, check=check, timeout=300)


def on(gpudock: Product, engine: Engine, *words: str, check: bool = True) -> CompletedProcess[str]:
    name = "podman" if engine.name == "podman" else "docker"
    return gpudock("env", *words, "--engine", name, env=engine.env, check=check, timeout=300)


def inside(engine: Engine, image: str, *command: str, flags: tuple[str, ...] = ()) -> str:
    return engine.run("run", "--rm", "--network", "none", *flags, image, *command).stdout


def packages(engine: Engine, image: str) -> str:
    script = (
        "dpkg-query -W; pip list --format freeze --path /opt/venv/lib/python3*/site-packages; find /opt/venv | sort"
    )
    return inside(engine, image, "sh", "-c", script)


def test_a_base_with_little_more_than_a_shell_and_a_push(gpudock: Product, docker28: Engine, tmp_path: Path) -> None:
    """No apt, no os-release, no network: nothing is asked of it, and so nothing is missing."""
    (tmp_path / "gpudock.yaml").write_text(f"base: {images.load(docker28, 'tiny')}\nrun: [echo made > /made]\n")
    image = call(gpudock, docker28, tmp_path, "build", "--network", "none").stdout.strip()
    assert inside(docker28, image, "cat", "/made") == "made\n"

    with registry(tmp_path) as pushed:
        there = f"{pushed.address}/team/seg:1"
        assert call(gpudock, docker28, tmp_path, "push", "nobody.invalid/team/seg:1", check=False).returncode != 0
        call(gpudock, docker28, tmp_path, "push", there)
        assert pushed.ask("team/seg/tags/list") == {"name": "team/seg", "tags": ["1"]}
        docker28.run("image", "rm", there, "nobody.invalid/team/seg:1")
        on(gpudock, docker28, "rmi", image)
        assert docker28.run("pull", "-q", there).stdout.strip() == there
        assert inside(docker28, there, "cat", "/made") == "made\n"
        docker28.run("image", "rm", there)


RECIPE = """
python_requirements: requirements.txt
system_packages: [tree]
run: ["tree / -L 1 > /seen"]
"""


def test_from_a_file_to_the_same_image_twice(gpudock: Product, docker28: Engine, tmp_path: Path) -> None:
    engine = docker28
    (tmp_path / "requirements.txt").write_text("six\n")
    gpudock("init", "--template", "plain", "-C", str(tmp_path))
    assert "python_requirements: requirements.txt" in (tmp_path / "gpudock.yaml").read_text()
    (tmp_path / "gpudock.yaml").write_text(RECIPE)
    base = images.load(engine, "python")
    call(gpudock, engine, tmp_path, "lock", "--base", base, *HOST)
    locked = json.loads((tmp_path / "gpudock.lock").read_text())
    assert [each["name"] for each in locked["python_packages"]] == ["six"]
    assert "tree" in {each["name"] for each in locked["system_packages"]}

    image = call(gpudock, engine, tmp_path, "build", *HOST).stdout.strip()
    before = packages(engine, image)
    assert "six==" in before
    engine.run("image", "rm", image)
    again = call(gpudock, engine, tmp_path, "build", "--no-cache", "--progress", "json", *HOST)
    assert again.stdout.strip() == image
    assert packages(engine, image) == before
    states = {json.loads(line)["state"] for line in again.stderr.splitlines() if line.startswith("{")}
    assert {"started", "done"} <= states <= {"started", "done", "cached"}  # BuildKit says so of the base
    cached = call(gpudock, engine, tmp_path, "build", *HOST)
    assert cached.stderr.count(" cached ") >= 4

    user = ("-e", "GPUDOCK_UID=4321", "-e", "GPUDOCK_GID=4321", "-e", "GPUDOCK_USER=ada")
    script = "id -un; pwd; python -c 'import six, sys; print(sys.prefix)'"
    assert inside(engine, image, "sh", "-c", script, flags=user).split() == ["ada", "/workspace", "/opt/venv"]
    left = "find /var/lib/apt/lists /var/cache/apt/archives /etc/sudoers.d -type f ! -name lock"
    assert inside(engine, image, "sh", "-c", f"{left} 2>/dev/null || true") == ""

    listed = json.loads(on(gpudock, engine, "images", "--json").stdout)
    assert [each["project"] for each in listed] == [str(tmp_path.resolve())]
    name = engine.run("create", "--network", "none", image).stdout.strip()
    used = on(gpudock, engine, "rmi", image, check=False)
    assert used.returncode == 5
    assert "in use" in used.stderr
    engine.run("rm", name)
    on(gpudock, engine, "rmi", image)
    assert json.loads(on(gpudock, engine, "images", "--json").stdout) == []


@pytest.mark.parametrize(("kind", "name"), [("python_packages", "six"), ("system_packages", "tree")])
def test_what_is_no_longer_to_be_had_is_named(
    gpudock: Product, podman: Engine, tmp_path: Path, kind: str, name: str
) -> None:
    (tmp_path / "gpudock.yaml").write_text(f"{kind}: [{name}]\n")
    call(gpudock, podman, tmp_path, "lock", "--base", images.load(podman, "python"), *HOST)
    told = json.loads((tmp_path / "gpudock.lock").read_text())
    (package,) = [each for each in told[kind] if each["name"] == name]
    for wrong in ({"version": "0.0.999"}, {"sha256": "0" * 64}):
        changed = {**told, kind: [{**each, **(wrong if each is package else {})} for each in told[kind]]}
        (tmp_path / "gpudock.lock").write_text(json.dumps(changed))
        done = call(gpudock, podman, tmp_path, "build", *HOST, check=False)
        assert done.returncode == 5, done.stderr
        assert f"gpudock: {name} " in done.stderr
        assert "no longer to be had" in done.stderr


def test_steps_with_gpus(gpudock: Product, docker28: Engine, tmp_path: Path) -> None:
    base = images.load(docker28, "debian")
    (tmp_path / "gpudock.yaml").write_text(
        f"base: {base}\nargs: {{MODE: fast}}\nrun:\n- command: /probe libcuda.so.1 libnvidia-ml.so.1 --nvml > /built\n"
        "  gpu: true\n- echo $MODE >> /built\n"
    )
    done = call(gpudock, docker28, tmp_path, "build", "--network", "none")
    assert "no file of the driver is in the image" in done.stderr
    image = done.stdout.strip()
    built = inside(docker28, image, "cat", "/built")
    assert "nvml.driver 580.159.04" in built
    assert built.endswith("fast\n")
    docker28.run("image", "rm", image)


def test_a_dockerfile_of_ones_own_is_built_as_it_is(gpudock: Product, docker28: Engine, tmp_path: Path) -> None:
    (tmp_path / "gpudock.yaml").write_text("from: docker/Dockerfile\nargs: {MODE: slow}\n")
    (tmp_path / "docker").mkdir()
    (tmp_path / "here").write_text("from the context\n")
    (tmp_path / "docker/Dockerfile").write_text(
        f"FROM {images.load(docker28, 'debian')}\nARG user_id=1\nARG group_id=1\nARG MODE\nCOPY here /here\n"
        "RUN groupadd -g $group_id dev && useradd -m -u $user_id -g $group_id dev && echo $MODE > /mode\nUSER dev\n"
        'CMD ["id"]\n'
    )
    owner = {"SUDO_UID": "4321", "SUDO_GID": "4322"}
    words = ("env", "build", "-C", str(tmp_path), "--engine", "docker", "--network", "none")
    image = gpudock(*words, env={**docker28.env, **owner}).stdout.strip()
    assert inside(docker28, image).startswith("uid=4321(dev) gid=4322(dev)")
    assert inside(docker28, image, "cat", "/mode", "/here") == "slow\nfrom the context\n"
    docker28.run("image", "rm", image)


def test_without_gpudock_the_same_image(gpudock: Product, docker28: Engine, tmp_path: Path) -> None:
    (tmp_path / "gpudock.yaml").write_text(
        f"base: {images.load(docker28, 'debian')}\nrun: [echo hello > /hello]\nservices: {{app: {{command: id, port: 80}}}}\n"
    )
    call(gpudock, docker28, tmp_path, "eject", "compose", "--network", "none")
    assert {each.name for each in (tmp_path / "eject").iterdir()} == {"Dockerfile", "compose.yaml", "entry"}
    again = call(gpudock, docker28, tmp_path, "eject", "dockerfile", check=False)
    assert again.returncode == 5
    docker28.run("build", "--network", "none", "-t", "ejected", str(tmp_path / "eject"))
    assert inside(docker28, "ejected", "cat", "/hello") == "hello\n"
    file = str(tmp_path / "eject/compose.yaml")
    ids = {"UID": "4321", "GID": "4321"}
    told = run([*engines.compose(), "-f", file, "config"], env={**docker28.env, **ids}).stdout
    assert "GPUDOCK_UID: '4321'" in told.replace('"', "'")
    docker28.run("image", "rm", "ejected")
