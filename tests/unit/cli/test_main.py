"""The error boundary: what a user sees and the exit code, for each way in which a command ends."""

import io
import os
import sys
from collections.abc import Callable
from typing import Any

import click
import pytest

from gpudock import __version__
from gpudock.cli import main as boundary
from gpudock.cli.terminal import show
from gpudock.cli.verb import Verb
from gpudock.errors import EngineError, GpudockError, HostError, InputError, RefusedError, UsageError


@pytest.fixture(params=["of click", "read without click"])
def ends(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], int]:
    """Runs the program with a verb that does just this, and returns the exit code."""

    def run(act: Callable[[], Any]) -> int:
        verb = click.Command("verb", callback=act) if request.param == "of click" else Verb(act, ())
        monkeypatch.setitem(boundary.VERBS, "verb", ("main", "verb", "Does it."))
        monkeypatch.setattr(boundary, "verb", verb, raising=False)
        return code("verb")

    return run


def code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        boundary.main(arguments)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def raising(error: BaseException) -> Callable[[], object]:
    def act() -> object:
        raise error

    return act


@pytest.mark.parametrize(
    ("kind", "expected"), [(UsageError, 2), (InputError, 3), (HostError, 4), (RefusedError, 5), (EngineError, 6)]
)
def test_each_class_of_error_has_its_code(
    ends: Callable[[Callable[[], object]], int],
    capsys: pytest.CaptureFixture[str],
    kind: type[GpudockError],
    expected: int,
) -> None:
    assert ends(raising(kind("It broke.", why="so", mend="do"))) == expected
    assert capsys.readouterr() == ("", "gpudock: It broke.\n  why:  so\n  mend: do\n")


def test_an_error_may_lack_reason_and_way_out(
    ends: Callable[[Callable[[], object]], int], capsys: pytest.CaptureFixture[str]
) -> None:
    ends(raising(HostError("It broke.")))
    assert capsys.readouterr().err == "gpudock: It broke.\n"


def test_somebody_elses_text_is_not_for_the_terminal(
    ends: Callable[[Callable[[], object]], int], capsys: pytest.CaptureFixture[str]
) -> None:
    ends(raising(EngineError("\x1b]0;x\x07", why="\x1b[2J", mend="a\rb")))
    ends(raising(ValueError("\x1b[31m")))
    code("\x1b[31m")
    code("cdi", "generate", "--mode", "\x1b[31m")
    error = capsys.readouterr().err
    assert not {"\x1b", "\x07", "\r"} & set(error)
    assert error.count("\\x1b[31m") >= 4


@pytest.mark.parametrize(("result", "expected"), [(None, 0), (0, 0), (7, 7), ("text", 0)])
def test_what_a_verb_returns(ends: Callable[[Callable[[], object]], int], result: object, expected: int) -> None:
    assert ends(lambda: result) == expected


def test_interrupted(ends: Callable[[Callable[[], object]], int], capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err.strip() == "gpudock: interrupted"


def test_a_reader_that_went_away(
    ends: Callable[[Callable[[], object]], int], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        assert ends(lambda: gone.write("x" * (1 << 17))) == 1
    assert capfd.readouterr().err == ""


def test_a_defect_is_ours(ends: Callable[[Callable[[], object]], int], capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(raising(ZeroDivisionError("oops"))) == 70
    error = capsys.readouterr().err
    assert error.startswith("gpudock: unexpected ZeroDivisionError: oops\n  why:  this is a defect of gpudock")
    assert "Traceback (most recent call last):" in error


def test_what_click_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert code("nonsense") == 2
    assert "No such command 'nonsense'." in capsys.readouterr().err
    assert code("cdi", "generate", "--nonsense") == 2
    assert "No such option" in capsys.readouterr().err


def test_version_and_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert code("--version") == 0
    assert capsys.readouterr().out == f"gpudock {__version__}\n"
    assert code("--help") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[-len(boundary.VERBS) :]] == list(
        boundary.VERBS
    )


def test_a_name_that_the_terminal_cannot_write_ends_nothing(
    ends: Callable[[Callable[[], object]], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="euc_jp"))
    assert ends(lambda: show("日本 习")) == 0
    assert written.getvalue().decode("euc_jp") == "日本 \\u4e60\n"


def test_output_that_finds_no_room_is_no_defect(
    ends: Callable[[Callable[[], object]], int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert ends(lambda: show("a line")) == HostError.exit_code
    said = capsys.readouterr().err
    assert said.startswith("gpudock: [Errno 28] No space left on device\n  why: ")
    assert "defect" not in said


def test_another_error_of_the_system_is_a_defect(ends: Callable[[Callable[[], object]], int]) -> None:
    assert ends(raising(OSError(5, "Input/output error"))) == boundary.UNEXPECTED
