"""What the runtime must equal: the bare runtime, for who asks for nothing; an engine's own CDI, for the same request."""

import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from gpudock.start import oci
from real import runtime_stage
from real.harness import images, runtimes
from real.harness.commands import run
from real.harness.engines import Engine
from real.harness.product import Product, product
from real.harness.runtimes import Configured
from real.hook_stage import FLAGS, PYTHON
from real.runtime_stage import ALL, CRUN, EVERYTHING, ONE, Bundle, Stage, config, outcome
from real.test_hook_process import INTERPRETER, PYTHONS, STANDARD

pytestmark = pytest.mark.real
CUDA = "libcuda.so.1"
NOTHING: dict[str, dict[str, Any]] = {
    "no sign of a request": {},
    "void": {"env": ["NVIDIA_VISIBLE_DEVICES=void"]},
    "an empty request": {"env": ["NVIDIA_VISIBLE_DEVICES=", "NVIDIA_DRIVER_CAPABILITIES=all"]},
    "our name in it": {"env": ["ABOUT=gpudock"], "hostname": "gpudock-1"},
    "devices of others": {"annotations": {"cdi.k8s.io/x": "vendor.com/nic=1"}},
}
WAYS = ("descriptors", "LISTEN_FDS", "ignored signals", "limits")
INSIDE = (
    "cat /proc/self/status; ls -l /proc/self/fd; env; cat /proc/self/mountinfo; cat /proc/self/limits; stat -c %i /"
)


@pytest.fixture(scope="session")
def stage(session_root: Path) -> Stage:
    return runtime_stage.build(session_root / "runtime-oracles")


@pytest.fixture
def bundle(stage: Stage, tmp_path: Path) -> Bundle:
    return stage.bundle(tmp_path / "bundle")


@pytest.fixture(params=["runc", "crun"])
def pair(request: pytest.FixtureRequest, stage: Stage) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Our runtime, and the bare one that it stands in front of."""
    if request.param == "runc":
        return (str(stage.entry),), ("runc",)
    return stage.over_crun(), (*CRUN, "crun")


def normal(text: str) -> str:
    """Without the numbers that differ between any two starts."""
    text = re.sub(
        r"(?m)^(\w*Pid|NStgid|NSpid|NSpgid|NSsid|Tgid|Ngid|\w*ctxt_switches|Vm\w+|Rss\w+|SigQ):.*\n", "", text
    )
    text = re.sub(r"(pipe|socket|mnt|anon_inode):\[[^\]]*\]|/proc/\d+/", "", text)
    text = re.sub(r"(?m)^\d+ \d+ \d+:\d+ ", "", text)  # of mounts and their devices
    return re.sub(r"[A-Z][a-z]{2} +\d+ \d\d:\d\d", "", text)


def state_of(path: Path) -> tuple[bytes, int, int, int]:
    found = path.stat()
    return path.read_bytes(), found.st_ino, found.st_mtime_ns, found.st_mode


# --- who asks for nothing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nothing", "ways"),
    [
        *((nothing, "plain") for nothing in NOTHING),
        *((nothing, ways) for nothing in ("no sign of a request", "void") for ways in WAYS),
    ],
)
def test_who_asks_for_nothing_starts_as_under_the_bare_runtime(
    stage: Stage, bundle: Bundle, pair: tuple[tuple[str, ...], ...], nothing: str, ways: str
) -> None:
    given = dict(NOTHING[nothing])
    whole = config(["/bin/sh", "-c", INSIDE], given.pop("env", [])) | given
    options: dict[str, Any] = {"write": False}
    ends = os.pipe()
    if ways == "descriptors":
        options |= {"after": ["--preserve-fds=2"], "pass_fds": ends, "wrapper": shifted(ends)}
    elif ways == "LISTEN_FDS":
        options |= {"environment": os.environ | {"LISTEN_FDS": "2"}, "pass_fds": ends, "wrapper": shifted(ends)}
    elif ways == "ignored signals":
        # Python's own two, and one more; HUP and INT not: newer runc hands them on or not, by chance.
        options |= {"wrapper": ["env", "--ignore-signal=PIPE,XFSZ,USR1"]}
    elif ways == "limits":
        options |= {"wrapper": ["prlimit", "--nofile=300:400", "--core=1000:2000"]}
    seen = []
    for program in pair:
        bundle.file.write_text(json.dumps(whole))
        before = state_of(bundle.file)
        done = stage.start(bundle, program=program, **options)
        assert done.code == 0, done.err
        assert state_of(bundle.file) == before
        assert not list(bundle.folder.glob("gpudock*"))
        seen.append((normal(done.out), done.err))
    for end in ends:
        os.close(end)
    assert seen[0] == seen[1]
    assert "SigIgn" in seen[0][0]
    if ways in {"descriptors", "LISTEN_FDS"}:
        assert " 4 -> " in seen[0][0], "they did arrive"


def shifted(ends: Sequence[int]) -> list[str]:
    """A command that makes the two descriptors 3 and 4, as those that LISTEN_FDS speaks of."""
    first, second = ends
    redirect = f"exec 8<&{first} 9<&{second} 3<&8 4<&9 8<&- 9<&-"
    more = " ".join(f"{fd}<&-" for fd in ends if fd > 4)
    return ["bash", "-c", f'{redirect}; exec {more}; export LISTEN_PID=$$; exec "$@"', "bash"]


@pytest.mark.parametrize("request_", [[], [ONE]], ids=["nothing", "a GPU"])
@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_the_real_runtime_gets_the_callers_environment(
    stage: Stage, bundle: Bundle, tmp_path: Path, shell: str, request_: list[str]
) -> None:
    """crun hands it on to hooks. Whatever /bin/sh is, only what shells keep for themselves is another."""
    entry, recorder = recording(stage, tmp_path)
    (tmp_path / "sh").symlink_to(str(shutil.which(shell)))
    entry.write_text(entry.read_text().replace("#!/bin/sh", f"#!{tmp_path}/sh", 1))
    names = ("real", "log", "bundle", "config", "operation", "preserved", "value", "word", "name", "folder", "python")
    given = {"PATH": "/usr/bin:/bin", "EMPTY": "", "TEXT": "a b\n'\"$x", "LC_CTYPE": "C", "PWD": "/tmp"}
    given |= dict.fromkeys(names, "the engine's")
    bundle.file.write_text(json.dumps(config(["/bin/true"], request_)))
    done = stage.start(bundle, program=(str(entry),), write=False, environment=given, cwd=Path("/tmp"))
    assert done.code == 0, done.err
    seen = json.loads(recorder.read_text())["env"]
    assert seen.pop("SHLVL", "0") in {"0", "1"}
    assert seen == given


def recording(stage: Stage, folder: Path) -> tuple[Path, Path]:
    """An installation in front of a program that notes how it was called, and that note."""
    note, program = folder / "note", folder / "recorder"
    program.write_text(
        f"#!{PYTHON} -IS\nimport json, os, sys\nenv = dict(e.split('=', 1) for e in "
        "open('/proc/self/environ').read().split('\\0') if e)\n"
        f"json.dump({{'argv': sys.argv[1:], 'env': env}}, open({str(note)!r}, 'w'))\n"
    )
    program.chmod(0o755)
    return stage.copy(folder / "recording", RUNTIMES=str(program)), note


@pytest.mark.parametrize("request_", [[], [ONE]], ids=["nothing", "a GPU"])
def test_exit_codes_and_signals(
    stage: Stage, bundle: Bundle, pair: tuple[tuple[str, ...], ...], request_: list[str]
) -> None:
    for script in ("exit 7", "exit 255", "kill -9 $$; kill -TERM $$", "exec /nowhere", "yes | head -1"):
        outcomes = []
        for program, env in zip(pair, (request_, []), strict=True):
            done = stage.start(bundle, ["/bin/sh", "-c", script], program=program, env=env)
            outcomes.append((done.code, done.out))
        assert outcomes[0] == outcomes[1], script
    codes = []
    for program, env in zip(pair, (request_, []), strict=True):
        (bundle.folder / "up").unlink(missing_ok=True)
        script = "trap 'echo caught; exit 9' TERM; touch /up/up; while :; do sleep 0.05; done"
        bundle.file.write_text(json.dumps(config(["/bin/sh", "-c", script], env, [(bundle.folder, "/up")])))
        argv = [
            *program,
            "--root",
            str(stage.folder / "state-signals"),
            "run",
            "--bundle",
            str(bundle.folder),
            bundle.id,
        ]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
            wait_for(bundle.folder / "up")
            process.send_signal(signal.SIGTERM)
            codes.append((process.wait(20), process.stdout.read() if process.stdout else ""))
    assert codes[0] == codes[1] == (9, "caught\n")


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} does not come"
        time.sleep(0.02)


@pytest.mark.parametrize("id_", ["create", "run", "restore", "a--help", "start.delete", "_--version+1"])
def test_every_operation_of_a_container_with_such_a_name(stage: Stage, bundle: Bundle, id_: str) -> None:
    """Created, looked at, started, entered, killed and deleted: all but the first go straight through."""
    script = "until [ -e /up/go ]; do sleep 0.02; done; ls /dev >/up/seen; sleep 100"
    bundle.file.write_text(json.dumps(config(["/bin/sh", "-c", script], [ONE], [(bundle.folder, "/up")])))
    root, pid_file = ["--root", str(stage.folder / "state-operations")], bundle.folder / "pid"
    stage.quiet(*root, "create", "--bundle", str(bundle.folder), "--pid-file", str(pid_file), id_)
    try:
        assert Path(f"/proc/{pid_file.read_text()}/root").is_symlink()
        assert json.loads(stage.call(*root, "state", id_).out)["status"] == "created"
        assert stage.call(*root, "state", id_).out == outcome(["runc", *root, "state", id_]).out
        assert id_ in stage.call(*root, "list", "--quiet").out.split()
        edited = state_of(bundle.file)
        assert stage.call(*root, "start", id_).code == 0
        (bundle.folder / "go").touch()
        wait_for(bundle.folder / "seen")
        entered = stage.call(*root, "exec", id_, "/bin/cat", "/proc/1/cmdline")
        assert (entered.code, "sleep" in entered.out) == (0, True), entered
        assert stage.call(*root, "ps", id_).code == 0
        assert stage.call(*root, "update", "--pids-limit", "50", id_).code == 0
        assert stage.call(*root, "kill", id_, "KILL").code == 0
    finally:
        assert stage.call(*root, "delete", "--force", id_).code == 0
    assert "nvidia0" in (bundle.folder / "seen").read_text()
    assert state_of(bundle.file) == edited, "only create edits"
    assert stage.call(*root, "state", id_).code != 0


def test_what_is_asked_of_no_container(stage: Stage) -> None:
    for argv in (
        ["--version"],
        ["-v"],
        ["--help"],
        ["spec", "--help"],
        ["features"],
        ["create", "--help"],
        ["nonsense"],
    ):
        ours, bare = stage.call(*argv), outcome(["runc", *argv])
        assert ours.code == bare.code, argv
        assert ours.out.replace("/usr/sbin/runc", "runc") == bare.out, argv


@pytest.mark.parametrize("request_", [[], [ONE]], ids=["nothing", "a GPU"])
def test_a_console_socket(stage: Stage, bundle: Bundle, request_: list[str]) -> None:
    whole = config(["/bin/sh", "-c", "test -t 0 && test -t 1 && echo terminal; ls /dev"], request_)
    whole["process"]["terminal"] = True
    whole["mounts"].append(
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance"]}
    )
    bundle.file.write_text(json.dumps(whole))
    path = bundle.folder / "console"
    root = ["--root", str(stage.folder / "state-console")]
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        stage.quiet(*root, "create", "--console-socket", str(path), "--bundle", str(bundle.folder), bundle.id)
        try:
            connection, _ = server.accept()
            with connection:
                _, (terminal, *_), _, _ = socket.recv_fds(connection, 4096, 1)
            assert stage.call(*root, "start", bundle.id).code == 0
            text = all_of(terminal)
        finally:
            stage.call(*root, "delete", "--force", bundle.id)
    assert text.startswith("terminal")
    assert ("nvidia0" in text) == bool(request_)


def all_of(terminal: int) -> str:
    """Until everybody has closed the other end."""
    text = b""
    while select.select([terminal], [], [], 20)[0]:
        try:
            part = os.read(terminal, 4096)
        except OSError:
            break
        text += part
        if not part:
            break
    os.close(terminal)
    return text.decode()


def test_sigpipe_is_not_ignored_in_a_container_with_a_gpu(stage: Stage, bundle: Bundle) -> None:
    """Python ignores it, and that would be inherited: `yes | head` would never end."""
    for program in ((str(stage.entry),), stage.over_crun()):
        done = stage.start(bundle, ["/bin/cat", "/proc/self/status"], program=program)
        ignored = int(re.findall(r"SigIgn:\s*(\w+)", done.out)[0], 16)
        assert not ignored & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1), done.out


# --- the command line -------------------------------------------------------------------------------------------------

BEFORE: tuple[list[str], ...] = (
    [],
    ["--root", "/x"],
    ["--root=/x"],
    ["-root", "/x"],
    ["--root", "run"],
    ["--log", "LOG"],
    ["--log=LOG"],
    ["-log", "LOG"],
    ["-log=LOG"],
    ["--log", "LOG", "--log-format", "json", "--systemd-cgroup", "--root", "create"],
    ["--debug", "--log-format=json", "--log=LOG", "--rootless", "auto"],
    ["--cgroup-manager", "create", "--log-level", "run"],
    ["--cgroup-manager=disabled", "--log=LOG"],
    ["--criu", "run"],
    ["--unknown", "--another=create", "--log=LOG"],
)
AFTER: tuple[list[str], ...] = (
    ["--bundle", "BUNDLE", "x"],
    ["--bundle=BUNDLE", "x"],
    ["-b", "BUNDLE", "x"],
    ["-b=BUNDLE", "x"],
    ["-bundle", "BUNDLE", "x"],
    ["x", "--bundle", "BUNDLE"],
    ["--pid-file", "create", "--console-socket", "--bundle", "--bundle", "BUNDLE", "x"],
    ["--no-pivot", "--no-new-keyring", "--preserve-fds", "0", "--bundle", "BUNDLE", "run"],
    ["--detach", "--keep", "--bundle", "BUNDLE", "--pid-file=--bundle", "create"],
    ["--unknown", "--bundle", "BUNDLE", "x"],
)
OF_CRUN: tuple[list[str], ...] = (
    ["--config", "BUNDLE/config.json", "--bundle", "BUNDLE", "x"],
    ["-f", "BUNDLE/config.json", "-b", "BUNDLE", "x"],
    ["--config=BUNDLE/config.json", "-b", "BUNDLE", "x"],
    ["-bBUNDLE", "x"],
    ["-fBUNDLE/config.json", "-b", "BUNDLE", "x"],
    ["-db", "BUNDLE", "x"],
    ["-ddbBUNDLE", "-dfBUNDLE/config.json", "x"],
)
OF_RESTORE: tuple[list[str], ...] = (
    ["--image-path", "--bundle", "--work-path=x", "--bundle", "BUNDLE", "x"],
    ["--detach", "--tcp-established", "--lsm-profile", "-b", "--bundle=BUNDLE", "x"],
)


def lines() -> Iterator[list[str]]:
    for before in BEFORE:
        yield [*before, "create", *AFTER[0]]
    for operation in ("create", "run"):
        for after in (*AFTER, *OF_CRUN):
            yield ["--log", "LOG", operation, *after]
    for after in OF_RESTORE:
        yield ["--log=LOG", "restore", *after]


@pytest.mark.parametrize("line", [*lines()], ids=" ".join)
def test_every_spelling_of_a_command_line(stage: Stage, bundle: Bundle, tmp_path: Path, line: list[str]) -> None:
    """The request is found, a refusal is written where --log says, and the real runtime gets the words as they were."""
    entry, note = recording(stage, tmp_path)
    log = tmp_path / "log"
    words = [word.replace("BUNDLE", str(bundle.folder)).replace("LOG", str(log)) for word in line]
    bundle.file.write_text(json.dumps(config(["/bin/true"], ["NVIDIA_VISIBLE_DEVICES=7"])))
    refused = outcome([str(entry), *words], cwd=tmp_path)
    assert refused.code == 5, refused.err
    assert refused.err.startswith("gpudock: NVIDIA_VISIBLE_DEVICES asks for 7")
    assert not note.exists()
    if any("LOG" in word for word in line):
        (entry_of_log,) = log.read_text().splitlines()
        said = json.loads(entry_of_log)
        assert (said["level"], said["msg"]) == ("error", refused.err.rstrip("\n"))
    else:
        assert not log.exists()
    bundle.file.write_text(json.dumps(config(["/bin/true"], [ONE])))
    done = outcome([str(entry), *words], cwd=tmp_path)
    assert done.code == 0, done.err
    assert json.loads(note.read_text())["argv"] == words
    assert oci.MARK in bundle.written()["annotations"]


@pytest.mark.parametrize(
    "words", [["state", "create"], ["--log=x", "delete", "run"], ["kill", "create", "run"], ["exec", "x", "create"], []]
)
def test_other_operations_are_handed_on_as_they_are(stage: Stage, tmp_path: Path, words: list[str]) -> None:
    entry, note = recording(stage, tmp_path)
    done = outcome([str(entry), *words], cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert json.loads(note.read_text())["argv"] == words


# --- a broken installation --------------------------------------------------------------------------------------------


def no_python(stage: Stage, folder: Path) -> Path:
    return stage.copy(folder, PYTHON="/nowhere/python3")


def _without(*names: str) -> Any:
    def lay(stage: Stage, folder: Path) -> Path:
        entry = stage.copy(folder)
        for name in names:
            (folder / name).unlink()
        return entry

    return lay


def _with(name: str, data: bytes) -> Any:
    def lay(stage: Stage, folder: Path) -> Path:
        entry = stage.copy(folder)
        (folder / name).write_bytes(data)
        return entry

    return lay


def _of_settings(**changes: Any) -> Any:
    def lay(stage: Stage, folder: Path) -> Path:
        entry = stage.copy(folder)
        values = json.loads((folder / "settings.json").read_text()) | changes
        (folder / "settings.json").write_text(json.dumps(values))
        return entry

    return lay


def _plan(text: str) -> Any:
    """The specification names a plan with this text."""

    def lay(stage: Stage, folder: Path) -> Path:
        entry = _of_settings(specs=[str(folder / "spec.json")])(stage, folder)
        (folder / "spec.json").write_text(f'"--plan", "{folder}/plan.json"')
        (folder / "plan.json").write_text(text)
        return Path(entry)

    return lay


BROKEN = {
    "no python": no_python,
    "no runtime.py": _without("runtime.py"),
    "no entry.py": _without("entry.py", "runtime.frozen"),
    "no settings": _without("settings.json"),
    "settings: no JSON": _with("settings.json", b"{"),
    "settings: a list": _with("settings.json", b"[]"),
    "settings: empty": _with("settings.json", b""),
    "settings: half": _with("settings.json", b'{"specs": ["/x"]}'),
    "no specification": _of_settings(specs=["/nowhere/gpudock.json"]),
    "plan: no JSON": _plan("{"),
    "plan: a list": _plan("[]"),
    "plan: empty": _plan(""),
    "plan: half": _plan('{"format": 1, "driver": "1"}'),
    "plan: newer": _plan('{"format": 99}'),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_installation(stage: Stage, bundle: Bundle, tmp_path: Path, broken: str) -> None:
    """Who asks for nothing starts as ever; who asks is told, in one sentence, what to do."""
    entry = BROKEN[broken](stage, tmp_path / "broken")
    # A folder of which root took half away: only who has no sign of a request at all never comes there.
    for nothing in [{}] if broken == "no entry.py" else NOTHING.values():
        given = dict(nothing)
        env = given.pop("env", [])
        started = stage.start(bundle, ["/bin/echo", "started"], program=(str(entry),), env=env, **given)
        assert (started.code, started.out, started.err) == (0, "started\n", ""), nothing
    log = tmp_path / "log"
    refused = stage.start(bundle, ["/bin/echo", "started"], program=(str(entry),), before=["--log", str(log)])
    assert refused.code != 0
    assert refused.out == ""
    assert refused.err.count("\n") == 1, refused.err
    assert refused.err.startswith("gpudock")
    assert "sudo gpudock refresh" in refused.err
    assert "Traceback" not in refused.err
    (line,) = log.read_text().splitlines()
    assert json.loads(line)["level"] == "error"
    assert json.loads(line)["msg"] == refused.err.rstrip("\n")


@pytest.mark.parametrize("kind", ["of another python", "missing", "empty", "cut off", "no code"])
def test_without_a_fitting_frozen_file_the_sources_serve(
    stage: Stage, bundle: Bundle, tmp_path: Path, kind: str
) -> None:
    entry = stage.copy(tmp_path / "copy")
    frozen = entry.with_name("runtime.frozen")
    if kind == "missing":
        frozen.unlink()
    else:
        whole = frozen.read_bytes()
        other = {"empty": b"", "cut off": whole[:5000], "no code": b"N" + runtime_stage.MAGIC}
        frozen.write_bytes(other.get(kind, whole[:-4] + b"\x01\x02\r\n"))
    done = stage.start(bundle, ["/bin/ls", "/dev"], program=(str(entry),))
    assert (done.code, "nvidia0" in done.out, done.err) == (0, True, "")


# --- the same as CDI --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gpudock(session_root: Path) -> Iterator[Product]:
    with product(session_root) as made:
        yield made


@pytest.fixture(scope="module")
def docker28_with(gpudock: Product, session_root: Path) -> Iterator[Configured]:
    with runtimes.docker(28, gpudock, session_root / "docker28-oracles") as made:
        yield made


@pytest.fixture(params=["docker28", "podman"])
def both(request: pytest.FixtureRequest, gpudock: Product) -> tuple[Configured, Engine]:
    """The engine with our runtime, and by its own CDI."""
    if request.param == "podman":
        engine: Engine = request.getfixturevalue("podman")
        return runtimes.podman(gpudock, engine), engine
    made: Configured = request.getfixturevalue("docker28_with")
    return made, made.engine


SEEN = {
    "devices": "find /dev -type c -o -type b | sort | xargs stat -c '%n %F %t:%T %a %u:%g'",
    "access": "for n in 0 1 2 3 254 255; do mknod /tmp/$n c 195 $n 2>/dev/null; dd if=/tmp/$n count=0 2>&1 | head -1; done",
    "mounts": "cat /proc/self/mountinfo",
    "env": "env | sort",
    "groups": "id; grep -E '^(Groups|Cap|NoNew|Seccomp)' /proc/self/status",
    "files": "find /etc /usr /lib -xdev ! -path '/usr/local/nvidia/*' | sort | xargs stat -c '%n %F %a %u:%g %N'",
    "cache": "sha256sum /etc/ld.so.cache /etc/ld.so.conf.d/* /etc/nvidia/*/* 2>/dev/null",
}


def looked_at(text: str) -> dict[str, list[str]]:
    parts = dict(part.split("\n", 1) for part in text.split("=== ")[1:])
    mounted = []
    for line in parts["mounts"].splitlines():
        fields, _, rest = line.partition(" - ")
        words = fields.split()
        source = "" if re.search(r"/(merged|diff|overlay|userdata|containers)\b", words[3]) else words[3]
        if words[4] != "/" and not re.search("/etc/|/run/|/proc|/sys", words[4]):
            mounted.append(f"{source} {words[4]} {words[5]} {words[6:]} {rest.split()[0]}")
    random_names = r"HOSTNAME=.*|container_uuid=.*|.* /etc/(hostname|hosts|resolv.conf) .*"
    found = {
        name: [line for line in part.splitlines() if not re.fullmatch(random_names, line)]
        for name, part in parts.items()
    }
    return found | {"mounts": sorted(mounted)}


@pytest.mark.parametrize(
    ("device", "asked", "flags"),
    [
        ("nvidia.com/gpu=0", (ONE, EVERYTHING), ()),
        ("nvidia.com/gpu=all", (ALL, EVERYTHING), ()),
        ("nvidia.com/gpu=1.compute.utility", ("NVIDIA_VISIBLE_DEVICES=1",), ()),
        ("nvidia.com/gpu=all.utility", (ALL, "NVIDIA_DRIVER_CAPABILITIES=utility"), ()),
        ("nvidia.com/gpu=0", (ONE, EVERYTHING), ("--user", "1000:1000")),
    ],
    ids=["one", "all", "capabilities", "utility", "user"],
)
def test_runtime_and_cdi_give_the_same(
    both: tuple[Configured, Engine], device: str, asked: tuple[str, ...], flags: tuple[str, ...]
) -> None:
    configured, engine = both
    script = "; ".join(f"echo '=== {name}'; {command}" for name, command in SEEN.items()) + "; true"
    env = [word for text in asked for word in ("-e", text)]
    ours = configured.run(*flags, *env, "--", "/bin/sh", "-c", script)
    reference = images.load(engine, "tiny")
    command = ("run", "--rm", "--network", "none", *flags, *env, "--device", device, reference, "/bin/sh", "-c", script)
    theirs = engine.run(*command)
    seen, expected = looked_at(ours.stdout), looked_at(theirs.stdout)
    if flags:  # of whom the nodes are, whom all may use, engines do not agree: docker 28 says root, podman 4.3 the user
        for each in (seen, expected):
            each["devices"] = [re.sub(r"^(/dev/nvidia.*) \S+$", r"\1", line) for line in each["devices"]]
    for part in SEEN:
        assert seen[part] == expected[part], part
    assert any("/dev/nvidia" in line for line in seen["devices"])
    assert any(" /usr/local/nvidia " in line for line in seen["mounts"])
    assert "NVIDIA_VISIBLE_DEVICES=void" in seen["env"]
    assert any("/etc/ld.so.cache" in line for line in seen["cache"])


@pytest.mark.parametrize("covered", [False, True], ids=["image", "volume"])
def test_in_a_user_namespace_everything_belongs_to_its_root(
    stage: Stage, tmp_path: Path, pair: tuple[tuple[str, ...], ...], *, covered: bool
) -> None:
    bundle = stage.bundle(tmp_path / "bundle", "tiny")
    volume = tmp_path / "volume"
    shutil.copytree(bundle.root / "etc", volume, symlinks=True)
    run(["chown", "-hR", "100000:100000", str(bundle.folder), str(volume)])
    for above in (bundle.folder, *bundle.folder.parents[: len(bundle.folder.parents) - 2]):  # but / and /tmp
        above.chmod(above.stat().st_mode | 0o711)
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    linux = config([])["linux"] | {"uidMappings": mapping, "gidMappings": mapping}
    linux["namespaces"].append({"type": "user"})
    places = "/etc/ld.so.cache /usr/bin/nvidia-smi" + ("" if covered else " /etc/OpenCL/vendors/nvidia.icd /etc/nvidia")
    look = f"stat -c '%u:%g %n' {places}; /probe {CUDA}; ls /dev"
    done = stage.start(
        bundle,
        ["/bin/sh", "-c", look],
        program=pair[0],
        env=[ONE, EVERYTHING],
        mounts=[(volume, "/etc")] if covered else [],
        linux=linux,
    )
    assert done.code == 0, done.err
    rows = done.out.splitlines()
    assert [row.split()[0] for row in rows[: len(places.split())]] == ["0:0"] * len(places.split()), done.out
    assert f"{CUDA} ok /usr/local/nvidia/lib64/" in done.out
    assert "nvidia0" in done.out


def test_a_second_start_of_an_edited_bundle(stage: Stage, bundle: Bundle) -> None:
    """An engine that keeps config.json: nothing piles up, and without a request it is what it was."""
    first = stage.start(bundle, ["/bin/cat", "/proc/self/mountinfo"])
    edited = bundle.written()
    again = stage.start(bundle, write=False)
    assert (first.code, again.code) == (0, 0), again.err
    twice = bundle.written()
    for whole in (edited, twice):
        whole["annotations"].pop(oci.MARK)
    assert twice == edited
    original = bundle.config
    without = bundle.written()
    without["process"]["env"] = [text for text in without["process"]["env"] if "NVIDIA" not in text]
    bundle.file.write_text(json.dumps(without))
    assert stage.start(bundle, write=False).code == 0
    original["process"]["env"].remove(ONE)
    assert bundle.written() == original


# --- what it loads ----------------------------------------------------------------------------------------------------

OURS = {
    *("gpudock", "gpudock.errors", "gpudock.start", "gpudock.plan"),
    *(f"gpudock.plan.{name}" for name in ("capabilities", "device_id", "document", "edits", "environment")),
    *(f"gpudock.plan.{name}" for name in ("ldcache", "ldcache_merge", "ldcache_order", "quote", "reader", "request")),
    *(f"gpudock.plan.{name}" for name in ("select", "value")),
    *(f"gpudock.start.{name}" for name in ("asked", "changes", "command", "compat", "current", "edit", "encode")),
    *(f"gpudock.start.{name}" for name in ("injection", "key", "linker", "lookup", "mounts", "oci", "parse", "paths")),
    *(f"gpudock.start.{name}" for name in ("plans", "profile", "reading", "rootfs", "runtime", "settings", "volumes")),
    "gpudock.start.walk",
}


@pytest.mark.parametrize("python", PYTHONS)
def test_imports_are_frozen(stage: Stage, bundle: Bundle, python: str) -> None:
    """A start costs what is imported, and what is imported is what could be attacked."""
    bundle.file.write_text(json.dumps(config(["/bin/true"], [ONE])))
    arguments = [str(stage.settings.resolve()), "/bin/true", str(bundle.folder), str(bundle.file), "", "0", "run", "x"]
    # Where it would become the real runtime, it tells what it has loaded.
    script = (
        f"import sys; sys.path.insert(0, {str(stage.entry.parent.resolve())!r}); from gpudock.start import runtime; "
        "runtime._become = lambda command: print(*sorted(sys.modules)); "
        f"sys.exit(runtime.main({arguments!r}) - 1)"
    )
    done = subprocess.run([python, *FLAGS, "-c", script], capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    loaded = set(done.stdout.decode().split())
    assert loaded <= INTERPRETER | STANDARD | OURS
    assert loaded >= OURS
    assert oci.MARK in bundle.written()["annotations"]


def test_what_is_compiled_imports_no_os(stage: Stage, bundle: Bundle) -> None:
    """refresh/freeze.py takes the interpreter's own modules in its place: loading os takes a millisecond."""
    bundle.file.write_text(json.dumps(config(["/bin/true"], [ONE])))
    words = [str(stage.settings.resolve()), "/bin/true", str(bundle.folder), str(bundle.file), "", "0", "run", "x"]
    started = stage.entry.resolve().with_name("runtime.py")
    done = subprocess.run(
        [PYTHON, *FLAGS, "-X", "importtime", str(started), *words],
        capture_output=True,
        check=True,
        timeout=60,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.decode().splitlines()}
    assert loaded & OURS == set()  # they are there at once, and nothing looks for them one by one
    others = {"os", "posixpath", "stat", "struct", "errno", "itertools", "_collections_abc", "importlib", "json"}
    assert loaded & {*others, "entry"} == set()
