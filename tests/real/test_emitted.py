"""What is emitted for other machines, before those who read it there: shellcheck, the shells, cloud-init."""

import subprocess
import tempfile
from pathlib import Path

import pytest

from gpudock.provision.emit import cloud_init, script
from real.harness import archive, cache
from real.harness.commands import run
from unit.provision.install import plans

pytestmark = pytest.mark.real
# Every kind of step is in these; of the others golden files tell that nothing but words differs.
NAMES = [("debian-12", "debs"), ("debian-12", "everything"), ("ubuntu-24.04", "everything"), ("wsl2", "everything")]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("emitted")
    for each in NAMES:
        (folder / f"{'-'.join(each)}.sh").write_text(script.render(plans.named(*each)))
    return sorted(folder.iterdir())


def test_shellcheck_has_nothing_to_say(scripts: list[Path]) -> None:
    assert run(["shellcheck", "--shell=sh", "--severity=style", *map(str, scripts)], check=False).stdout == ""


@pytest.mark.parametrize("shell", [["dash"], ["bash", "--posix"], ["busybox", "sh"]])
def test_every_shell_lists_the_same_steps(scripts: list[Path], shell: list[str]) -> None:
    for path, each in zip(scripts, sorted(NAMES, key="-".join), strict=True):
        listed = run([*shell, str(path), "list"]).stdout.splitlines()
        assert [line.split("\t") for line in listed] == [[s.id, s.title] for s in plans.named(*each).steps]


@pytest.mark.parametrize("words", [["fly"], ["run", "more"], ["step"], ["check", "all"]])
def test_what_is_not_understood_does_nothing(scripts: list[Path], words: list[str], tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "GPUDOCK_INSTALL_STATE": str(tmp_path / "state")}
    done = run(["sh", str(scripts[0]), *words], env=env, check=False)
    assert done.returncode == 2
    assert "usage: sh THIS-FILE" in done.stderr
    assert not (tmp_path / "state").exists()


FINGERPRINT = "E9F084527B3459DA89F164E2837CFB7242ABBA70"  # of key.asc, which was made for this test


@pytest.mark.parametrize(
    ("key", "wanted", "said"),
    [
        ("key.asc", FINGERPRINT, ""),
        ("key.asc", "0" * 40, f"has the fingerprint {FINGERPRINT}, not 0000"),
        ("two-keys.asc", FINGERPRINT, "not used"),
        ("debian-12-plain.sh", FINGERPRINT, "has the fingerprint (none)"),
    ],
)
def test_a_key_is_believed_by_its_fingerprint_alone(
    scripts: list[Path], tmp_path: Path, key: str, wanted: str, said: str
) -> None:
    functions = scripts[0].read_text().replace('main "$@"', 'fetch() { cp "$1" "$2"; }\nkey_into "$@"')
    path, kept = tmp_path / "key.sh", tmp_path / "keyrings/kept.gpg"
    path.write_text(functions)
    env = {"PATH": "/usr/bin:/bin", "GPUDOCK_INSTALL_STATE": str(tmp_path / "state")}
    done = run(["sh", str(path), str(plans.FOLDER / key), wanted, str(kept)], env=env, check=False)
    assert (done.returncode == 0, kept.exists()) == (not said, not said)
    assert said in done.stderr
    if not said:
        shown = run(["gpg", "--homedir", str(tmp_path), "--show-keys", "--with-colons", str(kept)], check=False).stdout
        assert f":{FINGERPRINT}:" in shown


ENDED = "https://nvidia.github.io/nvidia-docker/ubuntu18.04/amd64"
GOOD = "deb https://download.docker.com/linux/debian bookworm stable\n"


@pytest.mark.parametrize(
    ("name", "said", "left"),
    [
        ("a.list", f"{GOOD}deb [arch=amd64] {ENDED} /\n# deb {ENDED} /\n", f"{GOOD}# deb {ENDED} /\n"),
        ("b.list", f"deb {ENDED} /\n", ""),
        (
            "c.sources",
            f"Types: deb\nURIs: {ENDED}/\nSuites: /\n\n# not {ENDED}\nTypes: deb\nURIs: http://a/\nSuites: x\n",
            f"# not {ENDED}\nTypes: deb\nURIs: http://a/\nSuites: x\n\n",
        ),
    ],
)
def test_only_the_entries_of_ended_repositories_go(
    scripts: list[Path], tmp_path: Path, name: str, said: str, left: str
) -> None:
    path, program = tmp_path / name, tmp_path / "program.sh"
    path.write_text(said)
    program.write_text(scripts[0].read_text().replace('main "$@"', 'without_ended "$1"'))
    env = {"PATH": "/usr/bin:/bin", "GPUDOCK_INSTALL_STATE": str(tmp_path / "state")}
    assert run(["sh", str(program), str(path)], env=env).stdout == left


def test_taking_back_needs_no_network(scripts: list[Path], tmp_path: Path) -> None:
    program = tmp_path / "program.sh"
    steps = "patiently() { say 'E: The repository has no Release file.'; return 1; }\nupdate_lists_if_possible\nsay on"
    program.write_text(scripts[0].read_text().replace('main "$@"', steps))
    env = {"PATH": "/usr/bin:/bin", "GPUDOCK_INSTALL_STATE": str(tmp_path / "state")}
    failed, goes_on, then = run(["sh", str(program)], env=env).stderr.splitlines()
    assert (failed, then) == ("E: The repository has no Release file.", "on")
    assert "apt-get update" in goes_on


def cloud_init_program() -> Path:
    """The distribution's, unpacked: it is not installed, because it would take the machine's start over."""
    name = "programs/cloud-init"
    return cache.kept(name, cache.key(archive.codename()), _unpacked)


def _unpacked(staging: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="gpudock-cloud-init-", dir=staging.parent) as temp:
        archive.unpack(archive.download(archive.codename(), ["cloud-init"], Path(temp)), staging)


def schema(path: Path) -> subprocess.CompletedProcess[str]:
    tree = cloud_init_program()
    env = {"PYTHONPATH": f"{tree}/usr/lib/python3/dist-packages", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    words = ["/usr/bin/python3", f"{tree}/usr/bin/cloud-init", "schema", "--config-file", str(path)]
    return run(words, env=env, check=False)


def test_cloud_init_finds_its_schema_met(tmp_path: Path) -> None:
    path = tmp_path / "user-data"
    for each in NAMES[:2]:  # they differ only in what is packed
        path.write_text(cloud_init.render(plans.named(*each)))
        done = schema(path)
        assert done.stdout.startswith(("Valid cloud-config", "Valid schema")), done.stdout + done.stderr
    path.write_text(path.read_text().replace("encoding: gz+b64", "encoding: zip"))
    assert schema(path).returncode != 0
