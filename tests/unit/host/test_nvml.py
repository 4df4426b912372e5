"""Which NVML is asked, and what is made of its answers, without a library."""

from pathlib import Path

import pytest

from gpudock.facts.base import Missing
from gpudock.facts.gpu import Nvml
from gpudock.host import nvml, nvml_child
from gpudock.proc import NOT_FOUND, TIMED_OUT, Command, Result
from unit import caches, h200
from unit.recorded import Recorder, fill

LIBRARY = "libnvidia-ml.so.1"


def tree(folder: Path, **versions: str) -> None:
    """Libraries in folders: usr_lib64="535.54.03" puts that version into /usr/lib64."""
    for place, version in versions.items():
        base = "/" + place.replace("_", "/")
        fill(folder, {f"{base}/libnvidia-ml.so.{version}": ""}, {f"{base}/{LIBRARY}": f"libnvidia-ml.so.{version}"})


def found(folder: Path, loaded: str | None, *, wsl: bool = False) -> str | None:
    return nvml.library(fill(folder, {}), architecture="x86_64", loaded=loaded, wsl=wsl)


def test_the_library_of_the_loaded_driver_wins(tmp_path: Path) -> None:
    tree(tmp_path, usr_lib64="535.54.03", usr_lib="550.54.15")
    assert found(tmp_path, "550.54.15") == "/usr/lib/libnvidia-ml.so.550.54.15"
    assert found(tmp_path, "535.54.03") == "/usr/lib64/libnvidia-ml.so.535.54.03"


def test_without_a_match_it_is_what_programs_would_get(tmp_path: Path) -> None:
    tree(tmp_path, usr_lib64="535.54.03", opt_driver="550.54.15")
    cache = caches.build([(0x0303, LIBRARY.encode(), f"/opt/driver/{LIBRARY}".encode(), 0, 0, b"")])
    assert found(tmp_path, None) == "/usr/lib64/libnvidia-ml.so.535.54.03"
    fill(tmp_path, {"/etc/ld.so.cache": cache})
    assert found(tmp_path, "550.54.15") == "/opt/driver/libnvidia-ml.so.550.54.15"
    assert found(tmp_path, "470.1.1") == "/opt/driver/libnvidia-ml.so.550.54.15"


def test_wsl_has_its_own(tmp_path: Path) -> None:
    tree(tmp_path, usr_lib64="535.54.03")
    fill(tmp_path, {f"/usr/lib/wsl/lib/{LIBRARY}": ""})
    assert found(tmp_path, None, wsl=True) == f"/usr/lib/wsl/lib/{LIBRARY}"


def test_no_library_and_a_broken_cache(tmp_path: Path) -> None:
    assert found(tmp_path, None) is None
    fill(tmp_path, {"/etc/ld.so.cache": "garbage"})
    assert found(tmp_path, None) is None


def test_the_h200(tmp_path: Path) -> None:
    answer, (gpu,) = nvml.ask(h200.answer, h200.LIBRARY, turn_folder=str(tmp_path / "turn"))
    assert answer == Nvml(driver="580.159.04", cuda="13.0", library=h200.LIBRARY)
    assert (gpu.brand, gpu.memory, gpu.mig, gpu.processes) == ("nvidia", 150754820096, False, ())


def test_the_child_is_asked_politely(tmp_path: Path) -> None:
    asked: list[Command] = []

    def run(command: Command) -> Result:
        asked.append(command)
        return h200.answer(command)

    nvml.ask(run, h200.LIBRARY, turn_folder=str(tmp_path / "turn"))
    (command,) = asked
    assert (command.kill, command.timeout) == (False, 5.0)
    assert command.argv[1:3] == ("-I", "-S")
    assert "LD_LIBRARY_PATH" not in (command.env or {"LD_LIBRARY_PATH": ""})
    assert command.argv[-1] == str(command.pass_fds[0])


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (Result(TIMED_OUT, "", "x: stopped after 5 s"), "NVML gave no answer within 5 s"),
        (
            Result(TIMED_OUT, "", "x: stuck for 5 s and cannot be stopped"),
            "NVML gave no answer within 5 s and is stuck",
        ),
        (Result(-11, "", ""), "NVML crashed: SIGSEGV in /lib.so"),
        (Result(-99, "", ""), "NVML crashed: signal 99 in /lib.so"),
        (Result(NOT_FOUND, "", "python: not found"), "NVML could not be asked: python: not found"),
        (
            Result(1, "", "Traceback\n  ...\nImportError: \x1b"),
            "NVML could not be asked: Traceback ... ImportError: \ufffd",
        ),
        (
            Result(0, '{"error": "nvmlInit_v2: Driver/library version mismatch"}', ""),
            "nvmlInit_v2: Driver/library version mismatch",
        ),
        (Result(0, "", ""), "NVML's answer cannot be understood: Input data was truncated"),
        (
            Result(0, '{"driver": 5}', ""),
            "NVML's answer cannot be understood: Expected `str`, got `int` - at `$.driver`",
        ),
        (
            Result(0, '{"gpus": [{"index": 0}]}', ""),
            "NVML's answer cannot be understood: Object missing required field `uuid` - at `$.gpus[0]`",
        ),
    ],
)
def test_bad_answers_are_reasons(tmp_path: Path, result: Result, reason: str) -> None:
    answer = nvml.ask(lambda _: result, "/lib.so", turn_folder=str(tmp_path / "turn"))
    assert answer == (Missing(reason), ())


def test_one_field_may_be_missing(tmp_path: Path) -> None:
    text = h200.text("host-nvml.json").replace(
        '"memory":150754820096', '"memory":{"is":"missing","reason":"GPU is lost"}'
    )
    _, (gpu,) = nvml.ask(Recorder({(): text}), h200.LIBRARY, turn_folder=str(tmp_path / "turn"))
    assert gpu.memory == Missing("GPU is lost")
    assert gpu.name == "NVIDIA H200"


def test_the_childs_json_is_json() -> None:
    text = nvml_child.encode({"a": ['x"\\\n\x7f\u00e9', 1, True, None, {}], "b": {"c": -5}})
    assert text == '{"a":["x\\"\\\\\ufffd\ufffd\u00e9",1,true,null,{}],"b":{"c":-5}}'


def test_of_several_names_the_one_that_the_driver_has_is_called_each_time() -> None:
    library = nvml_child.Library("libc.so.6")
    for code in (3, 5):
        with pytest.raises(nvml_child.CallError, match=f"^abs: error {code}$"):
            library.call("gpudock_no_such_function abs", code)
    for _ in range(2):
        with pytest.raises(nvml_child.CallError, match="one: this driver has no such function"):
            library.call("one other")
