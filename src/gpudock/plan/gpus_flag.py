"""The form of docker's --gpus: CSV fields `key=value`, taken apart but not yet understood."""

from gpudock.errors import UsageError
from gpudock.plan.quote import quote

KEYS = ("count", "device", "capabilities", "driver", "options")
LISTS = ("device", "capabilities")
EXAMPLES = "use --gpus all, --gpus 2, --gpus device=0,1 or --gpus 'all,\"capabilities=compute,utility\"'"


class GpusError(UsageError):
    """The value of --gpus cannot be understood."""

    def __init__(self, what: str, *, why: str = "", mend: str = EXAMPLES) -> None:
        super().__init__(what, why=why, mend=mend)


def fields(text: str) -> "dict[str, list[str]]":
    """The values by key. `count=` may be left out; fields after a list that could be nothing else continue it."""
    found: dict[str, list[str]] = {}
    last = ""
    for field in csv(text):
        key, equals, value = (part.strip() for part in field.partition("="))
        if _continues(last, key, equals):
            found[last].append(field)
            continue
        if not equals:
            key, value = "count", key
        if key not in KEYS:
            raise GpusError(f"--gpus does not know {quote(key)}.", why=f"in {quote(field)}")
        if key in found:
            raise GpusError(f"--gpus has more than one {key}.", why=f"the second is {quote(value)}")
        found[key] = value.split(",") if key in LISTS else [value]
        last = key
    return found


def _continues(last: str, key: str, equals: str) -> bool:
    if last == "device":
        return not equals or "/" in key  # a CDI name holds both / and =
    # docker reads `capabilities=utility,2` and `capabilities=utility,all` as a capability and a count
    return last == "capabilities" and not equals and key.isalnum() and not key.isdigit() and key != "all"


def csv(text: str) -> "list[str]":
    """The fields of one line of CSV by the rules of Go's reader: quotes around whole fields, "" for a quote inside."""
    found = []
    position = 0
    while position <= len(text):
        if text.startswith('"', position):
            field, position = _quoted(text, position)
        else:
            end = text.find(",", position)
            end = len(text) if end < 0 else end
            field, position = text[position:end], end
            if '"' in field:
                raise GpusError(f"--gpus has a quote inside {quote(field)}.", why="quotes go around a whole key=value")
        found.append(field)
        position += 1
    return found


def _quoted(text: str, start: int) -> "tuple[str, int]":
    """The field whose opening quote is at `start`, and where the comma after it is."""
    end = start + 1
    while True:
        end = text.find('"', end)
        if end < 0:
            raise GpusError(f"--gpus lacks the closing quote of {quote(text[start:])}.")
        if not text.startswith('""', end):
            break
        end += 2
    if text[end + 1 : end + 2] not in ("", ","):
        raise GpusError(f"--gpus lacks a comma after {quote(text[start : end + 1])}.")
    return text[start + 1 : end].replace('""', '"'), end + 1
