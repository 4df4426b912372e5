"""How people name one GPU or MIG device, brought to one spelling for each kind of name.

0                    index of a GPU; gpu0 as some CDI specifications call it
0:1                  MIG device 1 of GPU 0; mig0:1 as some CDI specifications call it
GPU-8f3c, MIG-8f3c   UUID, whole or its first four or more digits; 8f3c alone may be either (digits alone: an index)
MIG-GPU-8f3c/1/0     MIG device by its GPU, GPU instance and compute instance
0000:06:00.0         PCI bus id, with a long domain, a short one or none
nvidia.com/gpu=NAME  CDI device, NAME being any of these
"""

from gpudock.errors import UsageError
from gpudock.plan.quote import quote

CDI_KINDS = ("nvidia.com/gpu", "runtime.nvidia.com/gpu")
_INDEX_DIGITS = 6  # longer runs of digits can only be the start of a UUID
_PREFIX_DIGITS = 4


def without_kind(text: str) -> str:
    """The device's name inside a CDI name of ours; other text as it is."""
    kind, equals, name = text.partition("=")
    return name if equals and kind in CDI_KINDS else text


def canonical(text: str, source: str) -> str:
    """The one spelling of a device name. Raises UsageError, which names `source`, when it is no name at all."""
    name = without_kind(text)
    found = index(name) or _mig_index(name) or bus_id(name) or _uuid(name) or _mig_path(name)
    if found is None:
        foreign = "=" in name and "/" in name
        raise UsageError(
            f"{quote(text)} in {source} is not the name of a GPU.",
            why="CDI devices of other kinds are asked for with --device" if foreign else "",
            mend="use an index (0), a UUID or four or more of its digits (GPU-8f3c), a MIG device (0:1 or MIG-...) "
            "or a PCI bus id (0000:06:00.0)",
        )
    return found


def index(text: str) -> "str | None":
    """Decimal index without leading zeros, or None."""
    digits = text.removeprefix("gpu")
    return str(int(digits)) if _is_number(digits) else None


def bus_id(text: str) -> "str | None":
    """PCI bus id as 00000000:06:00.0, or None."""
    parts = text.split(":")
    if len(parts) == 2:
        parts.insert(0, "0")
    slot, _, function = parts[-1].partition(".")
    numbers = (*parts[:-1], slot, function)
    if len(numbers) != 4:
        return None
    for number, digits in ((numbers[0], 8), (numbers[1], 2), (numbers[2], 2), (numbers[3], 1)):
        if not number or len(number) > digits or not _is_hex(number):
            return None
    return "{:08x}:{:02x}:{:02x}.{:x}".format(*(int(number, 16) for number in numbers))


def _mig_index(text: str) -> "str | None":
    gpu, colon, device = (text.removeprefix("mig")).partition(":")
    return f"{int(gpu)}:{int(device)}" if colon and _is_number(gpu) and _is_number(device) else None


def _uuid(text: str) -> "str | None":
    head = text[:4].upper()
    prefix = head if head in ("GPU-", "MIG-") else ""
    digits = text[len(prefix) :].replace("-", "").lower()
    if not _PREFIX_DIGITS <= len(digits) <= 32 or not _is_hex(digits) or (not prefix and _is_number(digits)):
        return None
    groups = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return prefix + "-".join(group for group in groups if group)


def _mig_path(text: str) -> "str | None":
    parts = text.split("/")
    if len(parts) != 3 or text[:8].upper() != "MIG-GPU-" or not _is_number(parts[1]) or not _is_number(parts[2]):
        return None
    gpu = _uuid(parts[0][4:])
    return f"MIG-{gpu}/{int(parts[1])}/{int(parts[2])}" if gpu else None


def _is_number(text: str) -> bool:
    return 0 < len(text) <= _INDEX_DIGITS and not text.strip("0123456789")


def _is_hex(text: str) -> bool:
    return not text.strip("0123456789abcdefABCDEF")
