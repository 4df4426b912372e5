"""The runner of processes: results, never exceptions; and always an end."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from gpudock import proc
from gpudock.errors import HostError
from gpudock.proc import Command, run


def shell(script: str, *, stdin: bytes = b"", timeout: float = 10.0, kill: bool = True) -> proc.Result:
    return run(Command(("/bin/sh", "-c", script), stdin=stdin, timeout=timeout, kill=kill))


def test_output_code_and_input() -> None:
    result = shell("cat; echo oops >&2; exit 3", stdin=b"in\xff\n")
    assert (result.code, result.out, result.err, result.ok) == (3, "in\\xff\n", "oops\n", False)
    assert shell("exit 0").ok


def test_no_input_is_the_end_of_input() -> None:
    assert shell("cat").out == ""


def test_the_environment_is_replaced_when_one_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUDOCK_TEST", "here")
    assert run(Command(("/usr/bin/env",), env={"ONLY": "this"})).out == "ONLY=this\n"
    assert "GPUDOCK_TEST=here" in run(Command(("/usr/bin/env",))).out


def test_only_named_descriptors_are_inherited() -> None:
    reader, writer = os.pipe()
    try:
        os.set_inheritable(writer, True)
        assert not run(Command(("/bin/sh", "-c", f"echo x >/proc/self/fd/{writer}"))).ok
        assert run(Command(("/bin/sh", "-c", f"echo x >/proc/self/fd/{writer}"), pass_fds=(writer,))).ok
        assert os.read(reader, 10) == b"x\n"
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("name", ["missing", "file/below", "closed", "folder", "text", "nul\0"])
def test_what_cannot_be_started_is_a_result(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "closed").touch(0o644)
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_bytes(b"\x7fELF no program")
    (tmp_path / "text").chmod(0o755)
    result = run(Command((f"{tmp_path}/{name}",)))
    assert result.code == proc.NOT_FOUND
    assert str(tmp_path) in result.err


def test_too_many_arguments_are_a_result() -> None:
    assert run(Command(("/bin/true", "x" * (4 << 20)))).code == proc.NOT_FOUND


class TestTime:
    def test_a_slow_program_is_stopped_with_its_children(self, tmp_path: Path) -> None:
        started = time.monotonic()
        result = shell(f"sleep 60 & echo $! > {tmp_path}/child; wait", timeout=0.2)
        assert (result.code, result.err) == (proc.TIMED_OUT, "/bin/sh: stopped after 0.2 s")
        assert time.monotonic() - started < 30
        deadline = time.monotonic() + 5
        child = int((tmp_path / "child").read_text())
        while alive(child) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not alive(child)

    def test_one_that_ignores_term_is_killed(self) -> None:
        result = shell("trap '' TERM; while :; do sleep 0.05; done", timeout=0.1)
        assert (result.code, result.err) == (proc.TIMED_OUT, "/bin/sh: stopped after 0.1 s")

    def test_one_that_must_not_be_killed_is_abandoned(self, tmp_path: Path) -> None:
        """No wait, no ResourceWarning (warnings are errors here), and it lives on."""
        pid_file = tmp_path / "pid"
        script = f"import os, signal, time; signal.signal(15, signal.SIG_IGN); open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
        result = run(Command((sys.executable, "-I", "-S", "-c", script), timeout=0.5, kill=False))
        child = int(pid_file.read_text())
        try:
            assert result.code == proc.TIMED_OUT
            assert "cannot be stopped" in result.err
            assert alive(child)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_becoming_another_program() -> None:
    """In a child: its exit code and environment are the program's."""
    pid = os.fork()
    if pid == 0:
        try:
            proc.become(("sh", "-c", "exit $CODE"), {"CODE": "7", "PATH": "/bin:/usr/bin"})
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


@pytest.mark.parametrize("name", ["gpudock-no-such-program", "/etc/passwd"])
def test_not_becoming_it_is_an_error(name: str) -> None:
    with pytest.raises(HostError, match=name):
        proc.become((name,))


def test_output_is_read_as_it_comes_and_a_failure_is_told_at_the_end() -> None:
    with proc.reading(("sh", "-c", "printf abcdef")) as read:
        assert (read(2), read(100), read(1)) == (b"ab", b"cdef", b"")
    with pytest.raises(HostError, match="sh -c failed") as caught, proc.reading(("sh", "-c", "echo no >&2; exit 3")):
        pass
    assert caught.value.why == "no"
    with pytest.raises(HostError, match="cannot be started"), proc.reading(("/nowhere",)):
        pass


def test_reading_that_is_given_up_ends_the_program() -> None:
    def read_a_little() -> None:
        with proc.reading(("yes",)) as read:
            raise KeyError(read(1))

    with pytest.raises(KeyError):
        read_a_little()


def test_a_program_with_our_own_streams(capfd: pytest.CaptureFixture[str]) -> None:
    assert proc.attached(("sh", "-c", 'echo "$A"; exit 3'), {"A": "b", "PATH": "/usr/bin:/bin"}) == 3
    assert capfd.readouterr().out == "b\n"
    assert proc.attached(("/nowhere",)) == proc.NOT_FOUND
