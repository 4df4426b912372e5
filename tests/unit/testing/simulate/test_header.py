import msgspec

from gpudock.testing.simulate import description, header
from gpudock.testing.simulate.machine import Process

MACHINE = description.make(1, "H200", "580.159.04", mig=["1g.18gb"])


def test_paths_become_c_strings_that_cannot_end_early() -> None:
    text = header.text(MACHINE, '/tmp/a"b\\c\n?\u00e92')
    assert r'#define SIMULATED_FOLDER "/tmp/a\042b\134c\012\077\303\2512"' in text


def test_versions_are_numbers_where_the_interface_has_numbers() -> None:
    text = header.text(MACHINE, "/x")
    assert "#define CUDA_VERSION 13000\n" in text
    assert '#define NVML_VERSION "13.580.159.04"' in text
    assert "#define VERSION_MISMATCH 0" in text
    other = msgspec.structs.replace(MACHINE, cuda="11.4", module="570.86.15")
    assert "#define CUDA_VERSION 11040\n" in header.text(other, "/x")
    assert "#define VERSION_MISMATCH 1" in header.text(other, "/x")


def test_an_instance_knows_its_device_nodes() -> None:
    lines = header.text(MACHINE, "/x").splitlines()
    line = next(line for line in lines if "NVIDIA H200 MIG 1g.18gb" in line)
    assert ", 0, 7, 0, 66, 67, 17179869184ull, 16, " in line


def test_processes_carry_their_instance() -> None:
    gpu = MACHINE.gpus[0]
    inside = Process(pid=77, name="python3", used_memory=None, type="G")
    instance = msgspec.structs.replace(gpu.instances[0], processes=(inside,))
    outside = Process(pid=5, name="Xorg", used_memory=9, utilization=31)
    gpu = msgspec.structs.replace(gpu, instances=(instance,), processes=(outside,))
    text = header.text(msgspec.structs.replace(MACHINE, gpus=(gpu,)), "/x")
    assert '{0, 4294967295u, 4294967295u, 5, 9ull, 0, 31, "Xorg"}' in text
    assert '{0, 7u, 0u, 77, 18446744073709551615ull, 1, 0, "python3"}' in text


def test_faults_and_architectures() -> None:
    faulty = msgspec.structs.replace(MACHINE, faults={"cuInit": "error:999", "nvmlInit_v2": "stuck"})
    assert '{"cuInit", FAULT_ERROR, 999}' in header.text(faulty, "/x")
    assert '{"nvmlInit_v2", FAULT_STUCK, 0}' in header.text(faulty, "/x")
    assert [header.architecture(cc) for cc in ("3.7", "7.5", "8.6", "8.9", "9.0", "12.0")] == [2, 6, 7, 8, 9, 10]
