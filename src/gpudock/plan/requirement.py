"""What an image asks of the host: NVIDIA_REQUIRE_* and the older CUDA_VERSION. Space means or, comma means and.

    cuda>=12.4 brand=tesla,driver>=470,driver<471

The semantics are those of NVIDIA's legacy mode: versions are compared number by number, a property that the host
does not know holds, and every GPU of the container must pass. Alternatives are read from the left until one holds.
"""

from gpudock.errors import RefusedError, UsageError
from gpudock.plan.environment import DISABLE, PREFIX, is_legacy
from gpudock.plan.quote import quote
from gpudock.plan.request import parse_bool
from gpudock.plan.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from gpudock.plan.document import Plan
    from gpudock.plan.select import Selected
    from gpudock.plan.unmet import Alternative, Condition

    Version = tuple[int, ...]

_NOT_DISABLE = ("DISABLE_REQUIRE", "DISABLE_REQUIRES", "NVIDIA_DISABLE_REQUIRES")
_PROPERTIES = ("cuda", "driver", "arch", "brand")
_PART_DIGITS = 18
_COMPARE: "dict[str, Callable[[Version, Version], bool]]" = {  # the longer first: "<" is also found in "<="
    "!=": tuple.__ne__,
    "<=": tuple.__le__,
    ">=": tuple.__ge__,
    "<": tuple.__lt__,
    ">": tuple.__gt__,
    "=": tuple.__eq__,
}


class Properties(Value):
    """What the host offers: versions ("" when unknown), and (compute capability, brand) of each GPU chosen."""

    __slots__ = ("cuda", "driver", "gpus")
    cuda: str
    driver: str
    gpus: "tuple[tuple[str, str], ...]"

    def __init__(self, cuda: str, driver: str, gpus: "Iterable[tuple[str, str]]" = ()) -> None:
        self._set(cuda=cuda, driver=driver, gpus=tuple(gpus))


def properties_of(plan: "Plan", selected: "Iterable[Selected]") -> Properties:
    return Properties(plan["cuda"], plan["driver"], ((each.gpu["arch"], each.gpu["brand"]) for each in selected))


def from_environment(environment: "Mapping[str, str]") -> "tuple[dict[str, str], tuple[str, ...]]":
    """The expressions that a container's variables hold, by variable, and notes for the user."""
    notes = []
    if DISABLE in environment:
        try:
            if parse_bool(environment[DISABLE], DISABLE):
                return {}, ()
        except UsageError as error:
            notes.append(f"{error.what} The requirements are checked; {error.mend}.")
    else:
        notes.extend(f"{name} does nothing: {DISABLE}=1 is meant." for name in _NOT_DISABLE if name in environment)
    found = {
        name: expression
        for name, expression in environment.items()
        if name.startswith(PREFIX) and not name.startswith(PREFIX + "JETPACK")
    }
    if is_legacy(environment):
        version = _major_minor(environment["CUDA_VERSION"])
        if version:
            found["CUDA_VERSION"] = "cuda>=" + version
        else:
            notes.append(f"CUDA_VERSION={quote(environment['CUDA_VERSION'])} is not a version and is not checked.")
    return found, tuple(notes)


def check(requirements: "Mapping[str, str]", properties: Properties) -> None:
    """Raises RefusedError, in a few words, when a requirement (variable -> expression) is not met or is malformed."""
    for variable, expression in sorted(requirements.items()):
        for gpu in dict.fromkeys(properties.gpus) or (("", ""),):
            failed = _failed(variable, expression, properties, gpu)
            if failed:
                from gpudock.plan import unmet  # noqa: PLC0415  containers that start need no such words

                raise unmet.refusal(variable, expression, failed, properties, gpu)


def cuda_label(value: str, driver_cuda: str) -> "str | None":
    """A warning when an image's com.nvidia.cuda.version is newer than the CUDA that the driver supports."""
    image, driver = _version(_major_minor(value)), _version(driver_cuda)
    if not image or not driver or image <= driver:
        return None
    text = f"The image was made for CUDA {quote(value, 20)}, this driver supports CUDA {driver_cuda}"
    if image[0] == driver[0]:
        return text + ": most programs run by CUDA's minor version compatibility, others need a newer driver."
    return text + ": it runs only with CUDA's forward compatibility (data centre GPUs) or a newer driver."


def _failed(variable: str, expression: str, properties: Properties, gpu: "tuple[str, str]") -> "list[Alternative]":
    """Empty when the expression holds."""
    failed = []
    for alternative in expression.split():
        conditions = [_condition(text, variable) for text in alternative.split(",") if text]
        if not conditions:
            continue
        held = [(condition, _holds(condition, properties, gpu)) for condition in conditions]
        if all(holds for _, holds in held):
            return []
        failed.append(held)
    return failed


def _condition(text: str, variable: str) -> "Condition":
    for operator in _COMPARE:
        name, found, wanted = text.partition(operator)
        name, wanted = name.lower(), wanted.lower()
        if not found:
            continue
        if name == "brand" and operator in ("=", "!=") and wanted and not set(wanted) & set("<>=!"):
            return name, operator, wanted
        if name in _PROPERTIES and name != "brand" and _version(wanted) is not None:
            return name, operator, wanted
        break
    raise RefusedError(
        f"{quote(variable)} cannot be understood at {quote(text)}.",
        why="conditions look like cuda>=12.4, driver<471, arch>=7.0 or brand=tesla",
        mend=f"correct it in the image, or start it with -e {DISABLE}=1",
    )


def _holds(condition: "Condition", properties: Properties, gpu: "tuple[str, str]") -> bool:
    name, operator, wanted = condition
    arch, brand = gpu
    if name == "brand":
        # NVML and the images write "Quadro RTX" and "quadrortx"
        return not brand or (brand.replace(" ", "").lower() == wanted) == (operator == "=")
    known = _version({"cuda": properties.cuda, "driver": properties.driver, "arch": arch}[name])
    asked = _version(wanted)
    return known is None or asked is None or _COMPARE[operator](known, asked)


def _version(text: str) -> "Version | None":
    """The numbers of a dotted version without zeros at the end (12 and 12.0 are the same), or None."""
    if not text or text.startswith(".") or text.strip("0123456789."):
        return None
    parts = [part for part in text.split(".") if part]
    if max(map(len, parts)) > _PART_DIGITS:
        return None
    while parts and not parts[-1].strip("0"):
        parts.pop()
    return tuple(map(int, parts))


def _major_minor(text: str) -> str:
    """The first two numbers of a version such as 9.0.116 or v11.6 ("11.6"), "" when it is none."""
    release, _, _ = text.removeprefix("v").partition("-")
    parts = release.split(".")
    if len(parts) > 3 or not all(0 < len(part) <= _PART_DIGITS and part.isascii() and part.isdigit() for part in parts):
        return ""
    return ".".join((*parts, "0")[:2])
