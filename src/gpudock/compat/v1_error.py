"""nvidia-docker 1 has one exit code for all that goes wrong before docker takes over."""

from gpudock.errors import GpudockError


class V1Error(GpudockError):
    """`what` is nvidia-docker 1's own text, which scripts may look for."""

    exit_code = 1
