"""The first program of an environment's container, tried as the engines start it: by many uids, with hostile values."""

import os
import shlex
from importlib import resources
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from real.harness import images
from real.harness.engines import Engine

pytestmark = pytest.mark.real

UID, GID = 4321, 4322
ABOUT = "id -u; id -g; id -G; id -un; echo $HOME $USER $SHELL; grep -E '^(NoNewPrivs|CapEff|CapPrm):' /proc/self/status"


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    path = tmp_path / "entry"
    path.write_text((resources.files("gpudock.env.image") / "entry.sh").read_text())
    path.chmod(0o755)
    return path


def start(
    engine: Engine, entry: Path, *command: str, image: str = "debian", flags: tuple[str, ...] = (), **variables: str
) -> CompletedProcess[str]:
    given = {"GPUDOCK_UID": str(UID), "GPUDOCK_GID": str(GID), "GPUDOCK_USER": "ada", **variables}
    return engine.run(
        *("run", "--rm", "--network", "none", "-v", f"{entry}:/entry:ro", "--entrypoint", "/entry", *flags),
        *(word for name, value in given.items() for word in ("-e", f"{name}={value}")),
        *(images.load(engine, image), *command),
        check=False,
    )


def test_it_becomes_the_user_for_good(cdi_engine: Engine, entry: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    done = start(
        cdi_engine,
        entry,
        *("sh", "-c", f"{ABOUT}; touch /workspace/here; cd; touch own; ls -A"),
        flags=("-v", f"{tmp_path}:/workspace"),
        GPUDOCK_GROUPS="44,4999",
        GPUDOCK_SHELL="bash",
    )
    lines = done.stdout.splitlines()
    assert lines[:2] == [str(UID), str(GID)]
    assert set(lines[2].split()) == {str(GID), "44", "4999"}
    assert lines[3:5] == ["ada", "/home/ada ada /usr/bin/bash"]
    assert {line.split()[1].strip("0") for line in lines[5:8]} == {"", "1"}  # no capability, NoNewPrivs
    assert {".bashrc", "own"} <= set(lines[8:])  # a home like a new user's
    info = os.stat(tmp_path / "here")
    assert (info.st_uid, info.st_gid) == (UID, GID)
    assert done.stderr == ""


def test_one_image_serves_everybody(podman: Engine, entry: Path) -> None:
    for uid, name in ((1000, "grace"), (33, "linus"), (60000, "mail")):  # 33 is www-data's, mail another account's
        done = start(podman, entry, "sh", "-c", "id -u; id -un; echo ~", GPUDOCK_UID=str(uid), GPUDOCK_USER=name)
        assert done.stdout.split() == [str(uid), name, f"/home/{name}"], done.stderr


def test_without_a_uid_or_as_root_the_command_runs_as_it_is(podman: Engine, entry: Path) -> None:
    assert start(podman, entry, "id", "-u", GPUDOCK_UID="").stdout == "0\n"
    assert start(podman, entry, "id", "-u", GPUDOCK_UID="0").stdout == "0\n"
    assert start(podman, entry, "id", "-u", flags=("--user", "1234:1234")).stdout == "1234\n"


WRONG = (
    *(("GPUDOCK_UID", value) for value in ("0x10", "-1", "99999999999", "1 --regid 0", "01")),
    ("GPUDOCK_GID", "0"),
    *(("GPUDOCK_USER", value) for value in ("root", "x:0:0", "a\nroot2:x:0:0::/:/bin/sh", "../../etc", "a" * 33)),
    ("GPUDOCK_SHELL", "/bin/evil"),
    *(("GPUDOCK_GROUPS", value) for value in ("44,root", "0")),
)


def test_a_wrong_value_ends_the_start(podman: Engine, entry: Path) -> None:
    tries = "".join(f"{name}={shlex.quote(value)} /entry id -u; echo $?\n" for name, value in WRONG)
    done = start(podman, entry, "-c", f"{tries}cat /etc/passwd", flags=("--entrypoint", "/bin/sh"))
    codes = done.stdout.splitlines()[: len(WRONG)]
    assert codes == ["125"] * len(WRONG)
    assert done.stderr.count("gpudock: GPUDOCK_") == len(WRONG)
    assert "root2" not in done.stdout


def test_nothing_is_written_through_a_link_of_the_image(podman: Engine, entry: Path, tmp_path: Path) -> None:
    """The image is hostile: its links lead to a folder of the user's on the host."""
    host = tmp_path / "host"
    host.mkdir()
    (host / "file").write_text("mine\n")
    tries = "".join(
        f"mv {path} /kept 2>/dev/null; ln -s {target} {path}; /entry id -u; echo $?; rm {path}; mv /kept {path}\n"
        for path, target in (
            *(("/etc/passwd", "/workspace/file"), ("/etc/group", "/workspace/new")),
            *(("/home/ada", "/workspace"), ("/home", "/workspace")),
        )
    )
    flags = ("-v", f"{host}:/workspace", "--entrypoint", "/bin/sh")
    done = start(podman, entry, "-c", f"mkdir /home/ada; {tries}", flags=flags)
    assert done.stdout.split() == ["125"] * 4, done.stderr
    assert done.stderr.count("is a link") == 4
    assert (host / "file").read_text() == "mine\n"
    assert [each.name for each in host.iterdir()] == ["file"]
    assert os.stat(host).st_uid == 0


def test_an_image_that_cannot_become_a_user_says_so(podman: Engine, entry: Path) -> None:
    done = start(podman, entry, "id", image="busybox")
    assert done.returncode == 125
    assert "setpriv" in done.stderr
