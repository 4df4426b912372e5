"""The life of environments on docker and podman: limits, ownership, neighbours, ports, sharing, ssh, devices."""

import hashlib
import json
import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from real.env_stage import BASE, GID, UID, Stage
from real.harness import training
from real.harness.commands import run

pytestmark = pytest.mark.real

WEB = f"base: {BASE}\nservices:\n  web: {{command: python3 -m http.server 8080, port: 8080}}  # a small one\n"
LIMITED = WEB + 'resources: {memory: 256m, memory_swap: 384m, cpus: 1.5, cpuset: "0", shm_size: 96m, pids: 150}\n'


@pytest.fixture(scope="module", params=("docker", "podman"))
def stage(request: pytest.FixtureRequest) -> Stage:
    found: Stage = request.getfixturevalue(f"env_{request.param}")
    return found


# What the engines do in their own ways runs on both: ownership, limits, stop and start, devices.
docker_alone = pytest.mark.parametrize("stage", ["docker"], indirect=True)


@pytest.fixture(scope="module")
def up(stage: Stage) -> Path:
    """One environment that is up, for the tests that only look."""
    folder = stage.project("seg", LIMITED)
    stage("up", at=folder)
    return folder


def url(stage: Stage, folder: Path, service: str = "web") -> str:
    lines = dict(line.split("\t") for line in stage("url", at=folder).stdout.splitlines())
    return lines[service]


def row(stage: Stage, name: str) -> dict[str, object]:
    (found,) = [each for each in json.loads(stage("env", "ls", "--json").stdout) if each["name"] == name]
    return dict(found)


def test_up_answers_and_files_are_the_callers(stage: Stage, up: Path) -> None:
    assert "gpudock.yaml" in stage.get(url(stage, up))
    done = stage("env", "exec", "sh", "-c", "id -u; id -g; pwd; echo made > made", at=up)
    assert done.stdout.split() == [str(UID), str(GID), "/workspace"]
    assert ((up / "made").stat().st_uid, (up / "made").stat().st_gid) == (UID, GID)
    assert stage("env", "exec", "--root", "id", "-u", at=up).stdout == "0\n"
    assert stage("env", "run", "sh", "-c", "id -u; ls; exit 7", at=up, check=False).returncode == 7


def test_limits_are_the_kernels(stage: Stage, up: Path) -> None:
    """Those that are asked for hold for what runs, by the kernel's word on both sides."""
    asked = {
        "memory": 256 << 20,
        "memory_swap": 384 << 20,
        "shm": 96 << 20,
        "cpus": 1.5,
        "cpuset": "0",
        "affinity": [0],
        "pids": 150,
    }

    def pid_of(name: str) -> int:
        return int(stage.client("inspect", "--format", "{{.State.Pid}}", name).stdout)

    found = training.measured(stage, pid_of, up, ["python3"], uid=UID, asked=asked)
    assert found["differences"] == []
    assert {*found["inside"], *found["gpudock env ls"]} == {*asked} == {*found["outside"]}
    assert "stand-in" in found["training"]["by"]
    use = row(stage, "seg")["use"]
    assert isinstance(use, dict)
    assert 0 < use["memory"] < 256 << 20
    assert 0 < use["pids"] < 150


@docker_alone
def test_memory_swap_of_minus_one_is_no_limit(stage: Stage) -> None:
    folder = stage.project("swap", WEB)
    look = "cat /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes /sys/fs/cgroup/memory.swap.max 2>/dev/null; true"
    done = stage("env", "run", "--memory", "64m", "--memory-swap", "-1", "sh", "-c", look, at=folder)
    assert done.stdout.strip() in {"max", "9223372036854771712"}


def test_stop_and_start_bring_services_back_with_what_was_changed(stage: Stage, up: Path) -> None:
    stage("env", "exec", "--root", "touch", "/by-hand", at=up)
    before = stage("token", at=up).stdout
    begin = time.monotonic()
    stage("env", "stop", at=up)
    assert row(stage, "seg")["state"] == "exited"
    assert "HTTP" in stage("env", "logs", "web", at=up).stdout  # a stopped one's log too
    assert stage("env", "exec", "true", at=up, check=False).returncode == 5
    stage("env", "start", at=up)
    assert "gpudock.yaml" in stage.get(url(stage, up))
    stage("env", "exec", "test", "-e", "/by-hand", at=up)
    assert stage("token", at=up).stdout == before
    assert len(before.strip()) == 48
    assert time.monotonic() - begin < 300  # TERM is heard: nobody waits for KILL each time


@docker_alone
def test_no_secret_is_in_the_image_or_on_a_command_line(stage: Stage, up: Path) -> None:
    token = stage("token", at=up).stdout.strip()
    name = row(stage, "seg")["container"]
    assert token not in stage.client("inspect", str(name)).stdout
    assert (
        token
        not in stage(
            "env", "exec", "--root", "sh", "-c", "cat /proc/*/cmdline /proc/*/environ 2>/dev/null; true", at=up
        ).stdout
    )
    told = stage("env", "exec", "--root", "stat", "-c", "%a %u", "/run/gpudock/token", at=up)
    assert told.stdout.split() == ["600", str(UID)]
    stage.client("commit", str(name), "localhost/committed")
    found = stage.client("run", "--rm", "--network", "none", "--entrypoint", "ls", "localhost/committed", "-A", "/run")
    assert "token" not in found.stdout
    stage.client("rmi", "localhost/committed")


@docker_alone
def test_the_first_shell_keeps_working_after_detach(stage: Stage, up: Path) -> None:
    """docker attach, a command, Ctrl-P Ctrl-Q: the command's work goes on; Ctrl-C reaches it."""
    import pty

    def attached(*typed: bytes) -> bytes:
        words = [*stage.network.words, sys.executable, "-m", "gpudock", "env", "attach"]
        master, slave = pty.openpty()
        with subprocess.Popen(words, cwd=up, env=stage.env, stdin=slave, stdout=slave, stderr=slave) as child:
            os.close(slave)
            time.sleep(2)
            for each in typed:
                os.write(master, each)
                time.sleep(0.7)
            os.write(master, b"\x10\x11")
            said = b""
            try:
                while more := os.read(master, 4096):
                    said += more
            except OSError:
                pass
            child.wait(20)  # docker and podman do not agree on the code
        os.close(master)
        return said

    attached(b"sleep 1000\n", b"\x03", b"(sleep 2; echo worked > /workspace/worked) &\n")
    end = time.monotonic() + 30
    while not (up / "worked").exists() and time.monotonic() < end:
        time.sleep(0.2)
    assert (up / "worked").read_text() == "worked\n"
    assert "sleep 1000" not in stage("env", "exec", "ps", "axo", "args", at=up).stdout


@docker_alone
def test_ssh_gives_a_shell_without_a_port(stage: Stage) -> None:
    folder = stage.project("far", f"base: {BASE}\nservices: {{ssh: {{}}}}\nenv: {{GREETING: hello there}}\n")
    stage("up", at=folder)
    config = stage.folder / "ssh_config"
    config.write_text(stage("env", "ssh-config", "--engine", stage.env["GPUDOCK_ENGINE"]).stdout)
    ssh = [*stage.network.words, "ssh", "-F", str(config), "-o", "BatchMode=yes", "far.gpudock"]
    done = run([*ssh, "id -u; echo $GREETING; test -t 0 || echo no terminal"], env=stage.env)
    assert done.stdout.splitlines() == [str(UID), "hello there", "no terminal"]
    assert row(stage, "far")["ports"] == []
    copied = run(
        [*stage.network.words, "scp", "-F", str(config), "-q", "/etc/hostname", "far.gpudock:/workspace/there"],
        env=stage.env,
    )
    assert copied.returncode == 0
    assert (folder / "there").stat().st_uid == UID
    stage("env", "stop", at=folder)
    stage("env", "start", at=folder)
    assert run([*ssh, "hostname"], env=stage.env).stdout == "far\n"


def test_made_devices_are_passed_as_a_camera_and_as_usb(stage: Stage) -> None:
    folder = stage.project("eye", WEB + "devices: [camera, usb]\n")
    assert "no camera" in stage("env", "run", "true", at=folder).stderr
    camera, bus = Path("/dev/video77"), Path("/dev/bus/usb/077")
    new = [each for each in (bus, *bus.parents) if not each.exists()]
    bus.mkdir(parents=True)
    try:
        for node, number in ((camera, (1, 5)), (bus / "001", (189, 9999))):  # reads zeros; no such device
            os.mknod(node, stat.S_IFCHR | 0o660, os.makedev(*number))
            os.chown(node, 0, 4444)
            node.chmod(0o660)
        look = f"head -c 3 {camera} | od -An -tx1; id -G; cat {bus}/001"
        done = stage("env", "run", "sh", "-c", look, at=folder, check=False)
    finally:
        for node in (camera, bus / "001"):
            node.unlink(missing_ok=True)
        for each in new:
            each.rmdir()
    assert "00 00 00" in done.stdout
    assert "4444" in done.stdout.split()
    assert "No such device or address" in done.stderr  # and not: operation not permitted


@docker_alone
def test_a_device_that_is_not_there_is_named(stage: Stage) -> None:
    folder = stage.project("lost", WEB + "devices: [/dev/ttyACM77]\n")
    done = stage("env", "run", "true", at=folder, check=False)
    assert done.returncode == 4
    assert "/dev/ttyACM77" in done.stderr


@docker_alone
def test_packages_added_by_hand_are_written_back_with_comments(stage: Stage, up: Path) -> None:
    stage("env", "exec", "--root", "python3", "-m", "pip", "install", "--break-system-packages", "-q", "cowsay", at=up)
    shown = stage("env", "commit", at=up)
    assert re.search(r"^\+ cowsay==\S+$", shown.stdout, re.MULTILINE)
    assert "cowsay" not in (up / "gpudock.yaml").read_text()  # nobody said yes
    before = (up / "gpudock.yaml").stat()
    stage("env", "commit", "--write", "localhost/by-hand:1", at=up)
    text = (up / "gpudock.yaml").read_text()
    assert "# a small one" in text
    assert re.search(r"python_packages:\n\s+- cowsay==", text)
    assert (up / "gpudock.yaml").stat().st_uid == before.st_uid
    assert stage.client("image", "inspect", "localhost/by-hand:1", check=False).returncode == 0
    stage.client("rmi", "localhost/by-hand:1")


@docker_alone
def test_down_keeps_files_and_image(stage: Stage) -> None:
    folder = stage.project("gone", WEB)
    (folder / "mine").write_text("mine")
    assert "gpudock lock" in stage("up", "--dry-run", at=folder, check=False).stderr  # nothing is made for it
    stage("env", "build", at=folder)
    script, _, filling = stage("up", "--rm", "--dry-run", at=folder).stdout.rstrip().rpartition("\n")
    assert " exec -i " in filling
    assert "gone" not in stage("env", "ls").stdout
    run([*stage.network.words, "sh", "-ec", script], env=stage.engine.env)  # they are what they say
    stage("up", at=folder)
    assert "gpudock.yaml" in stage.get(url(stage, folder))
    image = str(row(stage, "gone")["image"])
    stage("down", at=folder)
    assert "gone" not in stage("env", "ls").stdout
    assert (folder / "mine").read_text() == "mine"
    assert stage.client("image", "inspect", image, check=False).returncode == 0
    assert stage("down", at=folder, check=False).returncode == 5


@docker_alone
def test_gc_tells_before_and_spares_what_is_used(stage: Stage, up: Path) -> None:
    folder = stage.project("old", WEB)
    stage("env", "build", at=folder)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    shown = stage("env", "gc")
    assert "its project's folder is gone" in shown.stdout
    assert "gpudock/old-" in shown.stdout
    assert "gpudock/seg-" not in shown.stdout
    assert "--yes" in shown.stderr  # no terminal, no agreement
    assert "gpudock/old-" in stage.client("images").stdout
    stage("env", "gc", "--yes")
    assert "gpudock/old-" not in stage.client("images").stdout
    assert "gpudock/seg-" in stage.client("images").stdout
    assert up.is_dir()


@docker_alone
def test_two_users_of_one_name_never_meet(stage: Stage) -> None:
    other = {"SUDO_UID": "2345", "SUDO_GID": "2345"}
    mine = stage.project("alice/same", WEB)
    theirs = stage.project("bob/same", WEB, uid=2345)
    stage("up", at=mine)
    second = stage("up", at=theirs, env=other)
    assert "port 8080 is taken" in second.stderr
    stage("env", "exec", "touch", "a", at=mine)
    stage("env", "exec", "touch", "b", at=theirs, env=other)
    assert ((mine / "a").stat().st_uid, (theirs / "b").stat().st_uid) == (UID, 2345)
    listed = json.loads(stage("env", "ls", "--json", env=other).stdout)
    assert [(each["name"], each["uid"]) for each in listed] == [("same", "2345")]
    everybody = json.loads(stage("env", "ls", "--json", "--all").stdout)
    assert {each["uid"] for each in everybody} >= {str(UID), "2345"}
    assert stage("down", at=mine, env=other, check=False).returncode == 5
    assert stage("env", "stop", "same", env=other).returncode == 0
    assert row(stage, "same")["state"] == "running"
    stage("down", at=mine)
    stage("down", at=theirs, env=other)


@docker_alone
def test_a_strangers_container_of_our_name_is_not_touched(stage: Stage) -> None:
    folder = stage.project("claimed", WEB)
    key = hashlib.sha256(f"{UID}:{folder}".encode()).hexdigest()[:8]
    claim = (
        "--label",
        "gpudock.owner.uid=666",
        "--label",
        f"gpudock.project={folder}",
        "--label",
        "gpudock.env=claimed",
    )
    stage.client("create", "--name", f"gpudock-claimed-{key}", *claim, "--network", "none", BASE, "true")
    done = stage("up", at=folder, check=False)
    assert done.returncode == 5
    assert "666" in done.stderr
    assert f"gpudock-claimed-{key}" in stage.client("ps", "--all", "--format", "{{.Names}}").stdout
    stage.client("rm", f"gpudock-claimed-{key}")


@docker_alone
def test_a_users_own_dockerfile_with_ids_runs(stage: Stage) -> None:
    folder = stage.project(
        "own", "from: Dockerfile\nservices: {web: {command: python3 -m http.server 8080, port: 8080}}\n"
    )
    (folder / "Dockerfile").write_text(
        f"FROM {BASE}\nARG user_id\nARG group_id\nRUN groupadd -g $group_id dev && useradd -m -u $user_id -g $group_id dev\n"
        'USER dev\nCMD ["false"]\n'
    )
    stage("up", at=folder)
    stage("env", "exec", "sh", "-c", "touch made; echo $HOME", at=folder)
    assert (folder / "made").stat().st_uid == UID
    assert "Dockerfile" in stage.get(url(stage, folder))
    stage("down", at=folder)


@docker_alone
def test_files_are_copied_in_and_out(stage: Stage, up: Path) -> None:
    here = stage.folder / "here.txt"
    here.write_text("copied")
    stage("env", "cp", str(here), ":/tmp/there.txt", at=up)
    assert stage("env", "exec", "cat", "/tmp/there.txt", at=up).stdout == "copied"
    stage("env", "cp", ":/tmp/there.txt", str(stage.folder / "back.txt"), at=up)
    assert (stage.folder / "back.txt").read_text() == "copied"
    target = stage.folder / "all.tar"
    stage("env", "export-tar", "-o", str(target), at=up)
    assert "tmp/there.txt" in run(["tar", "-tf", str(target)]).stdout
    target.unlink()


_SSH = """#!/bin/sh
# Reaches "another machine", which is this one: what docker and gpudock say over ssh is real.
while [ "$1" != -- ]; do shift; done
shift 2
export DOCKER_HOST={socket}
exec sh -c "$*"
"""


@docker_alone
def test_every_verb_reaches_an_engine_on_another_machine(stage: Stage) -> None:
    program = stage.folder / "far/ssh"
    program.parent.mkdir()
    program.write_text(_SSH.format(socket=stage.engine.env["DOCKER_HOST"]))
    program.chmod(0o755)
    far = {"DOCKER_HOST": "ssh://lab", "PATH": f"{program.parent}:{stage.env['PATH']}"}
    folder = stage.project("remote", WEB)
    (folder / "data").write_text("copied\n")
    os.chown(folder / "data", UID, UID)
    done = stage("up", at=folder, env=far)
    assert "copied to the engine's machine" in done.stderr
    assert re.search(r"ssh -N -L (\d+):127\.0\.0\.1:\1 lab", done.stdout)
    inside = stage("env", "exec", "sh", "-c", "cat data; id -u; echo there > made", at=folder, env=far)
    assert inside.stdout.split() == ["copied", str(UID)]
    assert not (folder / "made").exists()  # it is the other machine's
    (row,) = [each for each in json.loads(stage("env", "ls", "--json", env=far).stdout) if each["name"] == "remote"]
    assert row["host"] == "ssh://lab"
    stage("env", "stop", at=folder, env=far)
    stage("env", "start", at=folder, env=far)
    assert stage("env", "exec", "cat", "made", at=folder, env=far).stdout == "there\n"
    assert "web" in stage("url", at=folder, env=far).stdout
    assert len(stage("token", at=folder, env=far).stdout.strip()) == 48
    stage("env", "logs", "web", at=folder, env=far)
    stage("env", "cp", ":/workspace/made", str(stage.folder / "made"), at=folder, env=far)
    stage("down", at=folder, env=far)
    volumes = stage.client("volume", "ls", "--quiet").stdout.split()
    assert [each for each in volumes if each.startswith("gpudock-remote-")]  # what was made there stays there
    stage.client("volume", "rm", *[each for each in volumes if each.startswith("gpudock-remote-")])
