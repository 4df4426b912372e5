"""The only module that starts processes. The runner is a parameter everywhere else, so tests replay recorded answers.

Commands are argv tuples (never a shell), get no standard input unless given, and a missing program is an ordinary
result (exit code 127), because a machine without docker is a fact and not an accident.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from gpudock.errors import HostError

NOT_FOUND = 127
TIMED_OUT = 124


class Command(NamedTuple):
    """argv, what to feed it, and how long it may take (seconds). `env` replaces the caller's environment.

    The child also inherits `pass_fds`. With kill=False it is only asked to stop: KILL in a driver call can hang a GPU.
    With terminal=True it stays at the user's terminal, where it may ask for a password, and has all the time it wants.
    """

    argv: tuple[str, ...]
    stdin: bytes = b""
    timeout: float = 60.0
    env: Mapping[str, str] | None = None
    pass_fds: tuple[int, ...] = ()
    kill: bool = True
    terminal: bool = False


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        return self.code == 0


Runner = Callable[[Command], Result]


def run(command: Command) -> Result:
    """Run to the end and return exit code and output, undecodable bytes escaped. 127: no such program, 124: too slow.

    A program that outlives its time gets TERM, then KILL, and is abandoned if even that does not end it (a process
    stuck in a driver call), so the caller never hangs.
    """
    try:
        child = subprocess.Popen(
            command.argv,
            stdin=subprocess.PIPE if command.stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(command.env) if command.env is not None else None,
            pass_fds=command.pass_fds,
            start_new_session=not command.terminal,
        )
    except (OSError, ValueError) as error:  # ValueError: a NUL character in an argument
        return Result(NOT_FOUND, "", f"{command.argv[0]}: {getattr(error, 'strerror', None) or error}")
    try:
        out, err = child.communicate(command.stdin or None, timeout=None if command.terminal else command.timeout)
    except subprocess.TimeoutExpired:
        return Result(TIMED_OUT, "", _stop(child, command))
    except BaseException:
        _stop(child, command)
        raise
    return Result(child.returncode, out.decode(errors="backslashreplace"), err.decode(errors="backslashreplace"))


def _stop(child: "subprocess.Popen[bytes]", command: Command) -> str:
    for sign in (signal.SIGTERM, signal.SIGKILL) if command.kill else (signal.SIGTERM,):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, sign)
        try:
            child.communicate(timeout=1.0)
        except subprocess.TimeoutExpired:
            continue
        return f"{command.argv[0]}: stopped after {command.timeout:g} s"
    child.returncode = -int(signal.SIGKILL)  # abandoned: no warning, no wait at exit
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe:
            with contextlib.suppress(OSError):
                pipe.close()
    return f"{command.argv[0]}: stuck for {command.timeout:g} s and cannot be stopped"


class Talk:
    """A program that answers each line that it is given with one line, for as long as it lives.

    Like `run` with kill=False: who does not answer in time is asked to stop, and left alone if he does not.
    """

    def __init__(self, argv: tuple[str, ...], env: Mapping[str, str], pass_fds: tuple[int, ...] = ()) -> None:
        """Raises HostError when the program cannot be started."""
        try:
            self._child = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=dict(env),
                pass_fds=pass_fds,
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            raise HostError(f"{argv[0]} cannot be started.", why=error.strerror or str(error)) from error
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._in, self._out = self._child.stdin, self._child.stdout
        os.set_blocking(self._out.fileno(), False)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def ended(self) -> int | None:
        """Its exit code (-N: by signal N), None while it lives; it is also looked for here once it was left alone."""
        return self._child.poll()

    def ask(self, line: bytes, timeout: float, limit: int = 16 << 20) -> bytes | None:
        """The answer without its end of line; None: not in time, longer than `limit`, or the program ended."""
        until = time.monotonic() + timeout
        try:
            self._in.write(line + b"\n")
        except OSError:
            return None
        parts: list[bytes] = []
        waiting = select.poll()  # select() knows no descriptor above 1023, and a server has many
        waiting.register(self._out, select.POLLIN)
        while waiting.poll(max(until - time.monotonic(), 0) * 1000):
            part = self._out.read(1 << 20)
            if not part:
                return None
            parts.append(part)
            if part.endswith(b"\n"):
                return b"".join(parts)[:-1]
            limit -= len(part)
            if limit < 0 or time.monotonic() > until:
                return None
        return None

    def stop(self, patience: float = 1.0) -> bool:
        """End it, and wait for that for `patience` seconds; False: it is stuck. Its pipes are closed in both cases."""
        for pipe in (self._in, self._out):
            with contextlib.suppress(OSError):
                pipe.close()
        if self._child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGTERM)
        try:
            self._child.wait(patience)
        except subprocess.TimeoutExpired:
            return False
        return True


def show(argv: tuple[str, ...]) -> int:
    """Run while its output appears on standard error as it comes, and return the exit code (127: no such program)."""
    try:
        return subprocess.call(argv, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return NOT_FOUND


def become(argv: tuple[str, ...], env: Mapping[str, str] | None = None) -> None:
    """Replace this process, so that exit code, signals and terminal are the program's own. Returns never."""
    try:
        os.execvpe(argv[0], argv, dict(os.environ if env is None else env))
    except FileNotFoundError as error:
        raise HostError(f"{argv[0]} is not installed or not on PATH.") from error
    except OSError as error:
        raise HostError(f"{argv[0]} cannot be started.", why=error.strerror or str(error)) from error


def attached(argv: tuple[str, ...], env: Mapping[str, str] | None = None) -> int:
    """Run with this process's own standard input, output and error, and return the exit code (127: no such program)."""
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        code = subprocess.call(argv, env=dict(env) if env is not None else None)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return NOT_FOUND
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def reading(argv: tuple[str, ...]) -> Iterator[Callable[[int], bytes]]:
    """The output of a program as it comes, by a function that reads at most so many bytes; b"" at the end.

    Raises HostError when the program is missing or, after everything was read, ended with another code than 0.
    """
    import tempfile  # noqa: PLC0415  start-up time: nothing else needs it

    with tempfile.TemporaryFile() as said:
        try:
            child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, start_new_session=True
            )
        except OSError as error:
            raise HostError(f"{argv[0]} cannot be started.", why=error.strerror or str(error)) from error
        assert child.stdout is not None
        try:
            yield child.stdout.read
            while child.stdout.read(1 << 20):
                pass
            code = child.wait()
        finally:
            if child.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGTERM)
            child.stdout.close()
            child.wait()
        if code:
            said.seek(0)
            text = said.read(1 << 16).decode(errors="backslashreplace").strip()
            raise HostError(f"{' '.join(argv[:2])} failed.", why=text[-300:] or f"exit code {code}")


def detached(argv: tuple[str, ...]) -> None:
    """Start a program that lives on by itself, without a terminal. Raises HostError when it cannot be started."""
    try:
        child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
    except OSError as error:
        raise HostError(f"{argv[0]} cannot be started.", why=error.strerror or str(error)) from error
    child.returncode = 0  # nobody waits for it


@contextlib.contextmanager
def feeding(argv: tuple[str, ...]) -> Iterator[Callable[[bytes], object]]:
    """A program that is given its input as it comes, by a function that writes. Raises HostError when it fails.

    After an exception its input ends where it is, so that it finds it broken and cleans up by itself.
    """
    import tempfile  # noqa: PLC0415  start-up time: nothing else needs it

    with tempfile.TemporaryFile() as said:
        try:
            child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=said, stderr=said, start_new_session=True)
        except OSError as error:
            raise HostError(f"{argv[0]} cannot be started.", why=error.strerror or str(error)) from error
        assert child.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError):  # why it went away is what it said
                yield child.stdin.write
        finally:
            with contextlib.suppress(BrokenPipeError):
                child.stdin.close()
            child.wait()
        if child.returncode:
            said.seek(0)
            text = said.read(1 << 16).decode(errors="backslashreplace").strip()
            raise HostError(f"{' '.join(argv[:2])} failed.", why=text[-300:] or f"exit code {child.returncode}")


def following(argv: tuple[str, ...], heard: Callable[[str], None], env: Mapping[str, str] | None = None) -> int:
    """Run while each line of what it says, on either output, is given to `heard`; the exit code (127: no program)."""
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(env) if env is not None else None,
        )
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return NOT_FOUND
    assert child.stdout is not None
    try:
        for line in child.stdout:
            heard(line.decode(errors="backslashreplace").rstrip("\r\n"))
        code = child.wait()
    finally:
        if child.poll() is None:
            child.terminate()
        child.stdout.close()
        child.wait()
    return code if code >= 0 else 128 - code
