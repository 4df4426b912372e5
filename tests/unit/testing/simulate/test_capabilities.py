from gpudock.testing.simulate import capabilities

# The first and some later lines of /proc/driver/nvidia-caps/mig-minors of a machine with one H200.
REAL = """\
config 1
monitor 2
gpu0/gi0/access 3
gpu0/gi0/ci0/access 4
gpu0/gi0/ci7/access 11
gpu0/gi1/access 12
gpu0/gi10/ci3/access 97
gpu0/gi14/access 129
gpu0/gi14/ci1/access 131
"""


def test_the_numbering_is_the_drivers() -> None:
    lines = capabilities.mig_minors().splitlines()
    assert set(REAL.splitlines()) <= set(lines)
    assert lines[:3] == REAL.splitlines()[:3]
    assert lines[-1] == f"gpu31/gi14/ci7/access {capabilities.FABRIC_IMEX - 1}"
    assert capabilities.FABRIC_IMEX == 4323  # as the same machine's sys-minors says
    assert [int(line.split()[1]) for line in lines] == list(range(1, capabilities.FABRIC_IMEX))


def test_the_functions_agree_with_the_list() -> None:
    minors = dict(line.split() for line in capabilities.mig_minors().splitlines())
    assert capabilities.gpu_instance(2, 7) == int(minors["gpu2/gi7/access"])
    assert capabilities.compute_instance(31, 14, 7) == int(minors["gpu31/gi14/ci7/access"])
