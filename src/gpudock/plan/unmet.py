"""An unmet requirement in a few words: the expressions of CUDA images are kilobytes long, one per driver branch."""

from gpudock.errors import RefusedError
from gpudock.plan.quote import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from gpudock.plan.requirement import Properties

    Condition = tuple[str, str, str]  # property, operator, value
    Alternative = list[tuple[Condition, bool]]  # each condition and whether it holds

_OF_DRIVER = ("cuda", "driver")
_NAMES = {"cuda": "CUDA", "driver": "driver", "arch": "compute capability", "brand": "GPU brand"}
_OPERATORS = {"=": "", "!=": "other than ", "<": "below ", "<=": "at most ", ">": "above ", ">=": "at least "}
_SHOWN = 3
_SHOWN_BRANCHES = 8


def refusal(
    variable: str, expression: str, alternatives: "list[Alternative]", properties: "Properties", gpu: "tuple[str, str]"
) -> RefusedError:
    """The error for an expression of which no alternative holds on the host and the GPU (compute capability, brand)."""
    # What another driver would mend is the useful answer; another GPU is the answer only where no driver helps.
    by_driver = [
        alternative
        for alternative in alternatives
        if all(holds or part[0] in _OF_DRIVER for part, holds in alternative)
    ]
    if by_driver:
        needs = _versions(by_driver)
        too_old = any(part[1] in (">", ">=") for alternative in by_driver for part, holds in alternative if not holds)
        way = "install a newer NVIDIA driver, use an older image" if too_old else "install such a driver"
    else:
        needs = _either([_all(part for part, _ in alternative) for alternative in alternatives])
        way = "choose another GPU, use another image"
    return RefusedError(
        f"{quote(variable)}={quote(expression, 40)} is not met: the image needs {needs}.",
        why="this machine has " + _offer(properties, gpu),
        mend=f"{way}, or start it with -e NVIDIA_DISABLE_REQUIRE=1 to try it all the same",
    )


def _versions(alternatives: "list[Alternative]") -> str:
    """Only what the alternatives say of the driver; `driver>=535,driver<536` is branch 535."""
    branches: dict[str, None] = {}
    others = []
    for alternative in alternatives:
        parts = tuple(part for part, _ in alternative if part[0] in _OF_DRIVER)
        branch = _branch(parts)
        if branch:
            branches[branch] = None
        else:
            others.append(_all(parts))
    if branches:
        names = list(branches)[:_SHOWN_BRANCHES]
        more = ", ..." if len(branches) > len(names) else ""
        others.append("a driver of branch " + "/".join(names) + more)
    return _either(others)


def _branch(parts: "tuple[Condition, ...]") -> str:
    if len(parts) != 2 or [part[:2] for part in parts] != [("driver", ">="), ("driver", "<")]:
        return ""
    first, end = parts[0][2], parts[1][2]
    return first if first.isdigit() and end.isdigit() and int(end) == int(first) + 1 else ""


def _all(parts: "Iterable[Condition]") -> str:
    return " and ".join(f"{_NAMES[name]} {_OPERATORS[operator]}{quote(wanted, 20)}" for name, operator, wanted in parts)


def _either(items: "list[str]") -> str:
    distinct = list(dict.fromkeys(items))
    shown = [quote(item, 120) for item in distinct[:_SHOWN]]
    if len(distinct) > len(shown):
        shown.append(f"{len(distinct) - len(shown)} other combinations")
    return ", or ".join(shown)


def _offer(properties: "Properties", gpu: "tuple[str, str]") -> str:
    arch, brand = gpu
    known = (
        ("driver", properties.driver),
        ("CUDA", properties.cuda),
        ("GPU brand", brand),
        ("compute capability", arch),
    )
    return ", ".join(f"{name} {value}" for name, value in known if value)
