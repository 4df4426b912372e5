"""What is made of the sample child's answers, without a driver."""

from pathlib import Path

import pytest

from gpudock.facts.base import Missing
from gpudock.host import nvml_sample
from gpudock.host.nvml_sample import Process, Status
from gpudock.proc import TIMED_OUT, Command, Result


@pytest.fixture(autouse=True)
def turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUDOCK_RUN_DIR", str(tmp_path))


def answered(out: str, code: int = 0, err: str = "") -> object:
    asked: list[Command] = []

    def run(command: Command) -> Result:
        asked.append(command)
        return Result(code, out, err)

    found = nvml_sample.status(run, "/lib/libnvidia-ml.so.1")
    (command,) = asked
    assert command.argv[-3:-1] == ("status", "/lib/libnvidia-ml.so.1")
    assert command.pass_fds == (int(command.argv[-1]),)  # the turn, so that a stuck child keeps it
    assert not command.kill
    return found


def test_numbers_and_what_is_not_told() -> None:
    found = answered('{"gpus":[{"uuid":"GPU-1","power":57250,"processes":[{"pid":7,"name":"python","memory":null}]}]}')
    assert found == (Status(uuid="GPU-1", power=57250, processes=(Process(pid=7, name="python"),)),)


@pytest.mark.parametrize(
    ("out", "code", "err", "reason"),
    [
        ('{"error":"nvmlInit_v2: GPU is lost"}', 0, "", "nvmlInit_v2: GPU is lost"),
        ("", TIMED_OUT, "", "no answer within 5 s"),
        ("", -11, "", "exit code -11"),
        ("", 1, "trouble\nmore", "trouble"),
        ("garbage", 0, "", "cannot be understood"),
        ('{"gpus":[{"uuid":1}]}', 0, "", "cannot be understood"),
        ("[" * 100_000, 0, "", "cannot be understood"),
    ],
)
def test_what_goes_wrong_is_said(out: str, code: int, err: str, reason: str) -> None:
    found = answered(out, code, err)
    assert isinstance(found, Missing)
    assert reason in found.reason
