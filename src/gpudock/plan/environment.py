"""What a container's variables ask for, by the precedence of NVIDIA's runtime."""

from gpudock.errors import UsageError
from gpudock.plan import capabilities
from gpudock.plan.quote import quote
from gpudock.plan.request import ALL, VISIBLE_DEVICES, VOID, Request, parse_visible_devices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

CAPABILITIES = "NVIDIA_DRIVER_CAPABILITIES"
PREFIX = "NVIDIA_REQUIRE_"
DISABLE = "NVIDIA_DISABLE_REQUIRE"


def from_environment(
    environment: "Mapping[str, str]", *, swarm: "tuple[str, ...]" = (), accepted: bool = True
) -> "tuple[Request, tuple[str, ...]]":
    """The request, with its capabilities, and notes for the user. Raises UsageError.

    `swarm` names the variables that stand for NVIDIA_VISIBLE_DEVICES when any of them is set. `accepted` says whether
    variables may ask at all: false in an unprivileged container where the configuration wants it so. When nothing is
    asked for (VOID), no other variable is looked at: such a container starts whatever its variables hold.
    """
    text, source = _asked(environment, swarm)
    if not accepted:
        names = {name.strip() for name in text.split(",")} - {"", VOID}
        note = f"{source} asks for GPUs and is ignored: the container is not privileged."
        return Request(VOID, source=source), (note,) if names else ()
    request = parse_visible_devices(text, source)
    if request.devices == VOID:
        return request, ()
    return Request(request.devices, driver_capabilities(environment), source), ()


def driver_capabilities(environment: "Mapping[str, str]") -> "tuple[str, ...]":
    """What NVIDIA_DRIVER_CAPABILITIES asks for, in canonical order; the image's default where it is unset."""
    text = environment.get(CAPABILITIES)
    if text is None:
        return capabilities.ALL if is_legacy(environment) else capabilities.DEFAULT
    try:
        return capabilities.parse(text)
    except UsageError as error:
        raise UsageError(f"{CAPABILITIES}={quote(text)}: {quote(error.what, 100)}", mend=error.mend) from None


def is_legacy(environment: "Mapping[str, str]") -> bool:
    """Whether the image is of the time before NVIDIA_REQUIRE_CUDA; it then gets all GPUs without asking."""
    return bool(environment.get("CUDA_VERSION")) and not environment.get("NVIDIA_REQUIRE_CUDA")


def may_require(environment: "Mapping[str, str]") -> bool:
    """Whether any of the variables may be one that requirement.from_environment looks at."""
    return is_legacy(environment) or any("REQUIRE" in name for name in environment)


def _asked(environment: "Mapping[str, str]", swarm: "tuple[str, ...]") -> "tuple[str, str]":
    """The list of devices and the variable that it came from."""
    present = [name for name in swarm if name in environment]
    if present:
        return ",".join(environment[name] for name in present), ",".join(present)
    if VISIBLE_DEVICES in environment:
        return environment[VISIBLE_DEVICES], VISIBLE_DEVICES
    return (ALL, "CUDA_VERSION") if is_legacy(environment) else ("", VISIBLE_DEVICES)
