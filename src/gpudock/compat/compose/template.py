"""nvidia-docker-compose's templates: Jinja with N_GPU, GPU_DEVICES and ENV, in a sandbox and within limits."""

import resource
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import jinja2
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from gpudock.compat.compose.document import LIMIT
from gpudock.errors import InputError, RefusedError
from gpudock.plan.quote import quote

SECONDS = 10
_MEMORY = 256 << 20  # bytes more than before
_SIZE = 1 << 20  # of a value that an operator makes


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(("*", "**", "%"))

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401
        """Refuses what would make a value that fills the memory."""
        if operator == "**" and (abs(right) > 64 or abs(left) > _SIZE):
            raise SecurityError("the power is too large")
        if operator == "*" and any(
            isinstance(many, (str, list, tuple)) and isinstance(times, int) and len(many) * times > _SIZE
            for many, times in ((left, right), (right, left))
        ):
            raise SecurityError("the product is too large")
        if operator == "%" and isinstance(left, str):
            raise SecurityError("text is formatted by filters and ~ only")
        return super().call_binop(context, operator, left, right)


def rendered(name: str, text: str, gpus: Sequence[str], variables: Mapping[str, str]) -> str:
    """The compose file that a template makes. Raises InputError with line, RefusedError over a limit."""
    environment = _Sandbox(autoescape=False)
    for filling in ("center", "indent", "format", "xmlattr", "urlize"):  # make much out of little
        environment.filters.pop(filling, None)
    pieces: list[str] = []
    size = 0
    try:
        with _limits(name):
            template = environment.from_string(text)
            for piece in template.generate(N_GPU=len(gpus), GPU_DEVICES=list(gpus), ENV=dict(variables)):
                pieces.append(piece)
                size += len(piece)
                if size > LIMIT:
                    break
    except jinja2.TemplateSyntaxError as error:
        raise InputError(f"{name}:{error.lineno} is not a template.", why=quote(str(error.message), 200)) from error
    except SecurityError as error:
        raise RefusedError(f"The template {name} does what templates may not.", why=quote(str(error), 200)) from error
    except RefusedError:
        raise
    except MemoryError as error:
        raise RefusedError(f"The template {name} needs too much memory.") from error
    except Exception as error:  # whatever its expressions raise: they are a program of the user's
        raise InputError(
            f"{_place(name, error)}: the template cannot be filled in.",
            why=quote(f"{type(error).__name__}: {error}", 200),
            mend=f"it has N_GPU ({len(gpus)}), GPU_DEVICES ({', '.join(gpus) or 'none'}) and ENV",
        ) from error
    if size > LIMIT:
        raise RefusedError(f"The template {name} makes a compose file of more than {LIMIT >> 20} MiB.")
    return "".join(pieces)


def _place(name: str, error: BaseException) -> str:
    """Jinja gives the template's lines to the frames of its code."""
    frame, line = error.__traceback__, 0
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == "<template>":
            line = frame.tb_lineno
        frame = frame.tb_next
    return f"{name}:{line}" if line else name


@contextmanager
def _limits(name: str) -> Iterator[None]:
    """Of time and memory, while a template is filled in."""

    def over(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise RefusedError(f"The template {name} is not done after {SECONDS} s.", mend="look for loops in loops")

    with open("/proc/self/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = used + _MEMORY
    limits = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    before = signal.signal(signal.SIGALRM, over)
    resource.setrlimit(resource.RLIMIT_AS, (min(wanted, *limits) if limits else wanted, hard))
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGALRM, before)
