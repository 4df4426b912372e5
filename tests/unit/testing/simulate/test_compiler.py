import os
from pathlib import Path

import pytest

from gpudock import proc
from gpudock.errors import HostError
from gpudock.testing.simulate import compiler


def test_a_machine_without_a_compiler_is_told_what_to_install(tmp_path: Path) -> None:
    with (
        compiler.compiler(lambda _: proc.Result(proc.NOT_FOUND, "", "cc: No such file"), "", str(tmp_path)) as cc,
        pytest.raises(HostError) as error,
    ):
        cc.tool()
    assert error.value.what == "There is no C compiler on this machine."
    assert error.value.mend == "apt-get install gcc libc6-dev"


def test_a_compiler_that_fails_is_quoted(tmp_path: Path) -> None:
    output = "smi.c: In function main:\nsmi.c:5:10: fatal error: stdio.h: No such file or directory\n"
    with (
        compiler.compiler(lambda _: proc.Result(1, "", output), "", str(tmp_path)) as cc,
        pytest.raises(HostError, match=r"stdio\.h") as error,
    ):
        cc.nvidia_smi("/nowhere")
    assert "gcc libc6-dev" in error.value.mend


def test_commands_name_sources_that_exist_and_the_folder_goes(tmp_path: Path) -> None:
    seen: list[proc.Command] = []

    def record(command: proc.Command) -> proc.Result:
        seen.append(command)
        sources = [word for word in command.argv if word.endswith(".c")]
        assert len(sources) == 1
        assert os.path.isfile(sources[0])
        assert os.path.isfile(os.path.join(os.path.dirname(sources[0]), "data.h"))
        return proc.Result(0, "", "")

    with compiler.compiler(record, "#define X\n", str(tmp_path)) as cc:
        cc.library("nvml.c", "libnvidia-ml.so.1", "/out")
    assert seen[0].argv[0] == "cc"
    assert {"-nostdlib", "-Wl,-soname,libnvidia-ml.so.1"} <= set(seen[0].argv)
    assert not os.listdir(tmp_path)


def test_a_soname_is_put_in_its_slot() -> None:
    slot = compiler._SONAME_SLOT.encode()
    renamed = compiler.with_soname(b"\0" + slot + b"\0after", "libnvidia-cfg.so.1")
    assert renamed == b"\0libnvidia-cfg.so.1" + b"\0" * (len(slot) - 18) + b"\0after"
    with pytest.raises(ValueError):
        compiler.with_soname(b"no slot", "libnvidia-cfg.so.1")
    with pytest.raises(ValueError):
        compiler.with_soname(slot, "x" * 61)


def test_the_functions_that_can_go_wrong_are_known() -> None:
    known = compiler.functions()
    assert {"nvmlInit_v2", "nvmlDeviceGetUUID", "nvmlDeviceGetComputeRunningProcesses_v3", "cuInit"} <= known
    assert all(name.startswith(("nvml", "cu")) for name in known)
