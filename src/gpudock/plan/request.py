"""What somebody asks for: which GPUs, and which of the driver's capabilities. One value for flags and variables."""

from gpudock.errors import UsageError
from gpudock.plan import capabilities, device_id
from gpudock.plan.quote import quote
from gpudock.plan.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final, Literal, Union

    Word = Literal["all", "none", "void"]
    Devices = Union[Word, int, tuple[str, ...]]

ALL: "Final" = "all"
NONE: "Final" = "none"  # the driver's files and control nodes, but no GPU
VOID: "Final" = "void"  # nothing was asked for: the container stays as it is
VISIBLE_DEVICES = "NVIDIA_VISIBLE_DEVICES"
_WORDS: "tuple[Word, ...]" = (ALL, NONE, VOID)
_COUNT_DIGITS = 6
_IMEX_CHANNELS = 1 << 20


class Request(Value):
    """`devices`: ALL, NONE, VOID, how many, or device ids. `capabilities`: canonical, None when not stated."""

    __slots__ = ("capabilities", "devices", "source")
    devices: "Devices"
    capabilities: "tuple[str, ...] | None"
    source: str  # the flag or variable that it came from, for messages

    def __init__(
        self, devices: "Devices", capabilities: "tuple[str, ...] | None" = None, source: str = "--gpus"
    ) -> None:
        self._set(devices=devices, capabilities=capabilities, source=source)


def parse_gpus(text: str) -> Request:
    """The value of docker's --gpus, as docker reads it. Raises UsageError.

    Where docker's reading ends in an error, what was plainly meant is taken instead: values after `device=` or
    `capabilities=` need no quotes (device=0,1), spaces do not count, and there is `none`.
    """
    from gpudock.plan import gpus_flag  # noqa: PLC0415  container start never sees this flag

    fields = gpus_flag.fields(text)
    driver = "".join(fields.get("driver", ()))
    if driver not in ("", "nvidia", "cdi"):
        raise gpus_flag.GpusError(f"driver={quote(driver)} in --gpus is not NVIDIA's.", mend="leave driver= out")
    for options in fields.get("options", ()):
        gpus_flag.csv(options)  # docker checks their form; the NVIDIA driver knows none
    if "device" in fields:
        if "count" in fields:
            raise gpus_flag.GpusError("--gpus asks for a number of GPUs and for certain ones at once.")
        devices = _devices(fields["device"], "--gpus")
        if devices is None:
            raise gpus_flag.GpusError("device= in --gpus names no device.")
    else:
        devices = _counted(fields.get("count", ["1"])[0])
    return Request(devices, _gpus_capabilities(fields.get("capabilities", ())), "--gpus")


def flag(request: Request) -> str:
    """The request as a value of --gpus that parse_gpus reads back."""
    if isinstance(request.devices, tuple):
        fields = ["device=" + ",".join(request.devices)]
    else:
        fields = ["device=void" if request.devices == VOID else str(request.devices)]
    if request.capabilities is not None:
        fields.append("capabilities=" + ",".join(request.capabilities))
    return ",".join(f'"{field}"' if "," in field else field for field in fields)


def parse_visible_devices(text: str, source: str = VISIBLE_DEVICES) -> Request:
    """The value of NVIDIA_VISIBLE_DEVICES, or of a variable that stands for it. Raises UsageError."""
    devices = _devices(text.split(","), source)
    return Request(VOID if devices is None else devices, None, source)


def parse_imex(text: str, source: str = "NVIDIA_IMEX_CHANNELS") -> "tuple[str, ...]":
    """IMEX channels by name, in the order asked for, ("all",) for each, () for none. Raises UsageError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if ALL in names:
        return (ALL,)
    channels: dict[str, None] = {}
    for name in names:
        if name.strip("0123456789") or len(name) > 7 or int(name) >= _IMEX_CHANNELS:
            raise UsageError(
                f"{quote(name)} in {source} is not an IMEX channel.",
                mend=f"use channel numbers from 0 to {_IMEX_CHANNELS - 1} with commas between them, or all",
            )
        channels[str(int(name))] = None
    return tuple(channels)


def parse_bool(text: str, source: str) -> bool:
    """A boolean as Go programs, and so NVIDIA's, read it. Raises UsageError."""
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if text in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise UsageError(f"{source}={quote(text)} is neither true nor false.", mend=f"set {source} to 1 or 0")


def _devices(names: "Iterable[str]", source: str) -> "Devices | None":
    """None when the list is empty. `all` beside devices is `all`, for it holds them; other words stand alone."""
    asked = [name.strip() for name in names if name.strip()]
    bare = {device_id.without_kind(name): None for name in asked}
    words = [word for word in _WORDS if word in bare]
    if len(words) > 1 or (words and ALL not in words and len(bare) > 1):
        raise UsageError(
            f"{source} asks for {words[-1]} and for something else at once: {quote(','.join(asked))}.",
            mend=f"give {source} either all, none, or the devices themselves, such as 0,1",
        )
    devices = tuple(dict.fromkeys(device_id.canonical(name, source) for name in bare if name not in _WORDS))
    if words:
        return words[0]
    return devices or None


def _gpus_capabilities(names: "Iterable[str]") -> "tuple[str, ...] | None":
    # docker's own words for "any NVIDIA GPU" say nothing about the driver's files.
    wanted = [name.strip() for name in names if name.strip() not in ("", "gpu", "nvidia")]
    try:
        return capabilities.canonical(wanted) if wanted else None
    except UsageError as error:
        raise UsageError(quote(error.what, 100), why="in --gpus", mend=error.mend) from None


def _counted(text: str) -> "Devices":
    if text in (ALL, "-1"):
        return ALL
    if text == NONE:
        return NONE
    digits = text[1:] if text[:1] == "+" else text
    if not digits or len(digits) > _COUNT_DIGITS or digits.strip("0123456789"):
        from gpudock.plan.gpus_flag import GpusError  # noqa: PLC0415

        raise GpusError(f"{quote(text)} in --gpus is not a number of GPUs.")
    return int(digits) or NONE
