"""Which GPUs a container of nvidia-docker 2 is to have, by whoever comes first: --gpus, -e NVIDIA_VISIBLE_DEVICES,
NV_GPU, --env-file, the image's own variable; nobody: all of them.
"""

from collections.abc import Mapping

from gpudock.engine.flags import Arguments
from gpudock.engine.image import Image
from gpudock.plan.request import ALL, VISIBLE_DEVICES, Request, parse_gpus, parse_visible_devices

EVERY = Request(ALL, None, "nvidia-docker")


def explicit(arguments: Arguments, variables: Mapping[str, str | None], nv_gpu: tuple[str, ...]) -> Request | None:
    """What the command line or NV_GPU asks for. `variables`: what the command line sets. Raises UsageError."""
    gpus = arguments.own.get("gpus")
    if gpus is not None:
        return parse_gpus(gpus)
    by_flag = any(entry.partition("=")[0] == VISIBLE_DEVICES for entry in arguments.values.get("env", ()))
    if nv_gpu and not by_flag:
        return parse_visible_devices(",".join(nv_gpu), "NV_GPU")
    given = variables.get(VISIBLE_DEVICES)
    return None if given is None else parse_visible_devices(given)


def of_image(image: Image | None, variables: Mapping[str, str | None]) -> Request:
    """What an image asks for by its variable, which the command line may have taken away."""
    text = image.environment.get(VISIBLE_DEVICES) if image and VISIBLE_DEVICES not in variables else None
    return EVERY if text is None else parse_visible_devices(text, f"the image's {VISIBLE_DEVICES}")
