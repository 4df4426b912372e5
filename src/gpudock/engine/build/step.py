"""A RUN step as the command of a container. Pure."""

import json
import os
import shlex
from collections.abc import Mapping, Sequence

from gpudock.engine.build.dockerfile import Dockerfile, Instruction
from gpudock.engine.build.stages import refusal

SHELL = ("/bin/sh", "-c")
_POSIX = ("sh", "bash", "dash", "ash", "ksh", "zsh")


def check(file: Dockerfile, step: Instruction) -> None:
    """Raises RefusedError for what no container can do: before anything is built, which may take long."""
    if step.arguments.startswith("--"):
        flag = step.arguments.split(None, 1)[0].partition("=")[0]
        raise refusal(file, step, f"{flag} works only in the engine's own build", f"do without {flag} in this step")
    if _is_whole(step) and step.heredocs[0].body[:1] and step.heredocs[0].body[0].startswith("#!"):
        raise refusal(file, step, "its text names an interpreter by #!", "write RUN INTERPRETER <<EOF")


def command(file: Dockerfile, step: Instruction, shell: Sequence[str], variables: Mapping[str, str]) -> tuple[str, ...]:
    """The words that do what the engine would do for this step. `variables`: build arguments with their values.

    They are exported by the shell, because what an engine's flag sets, a commit would keep. Raises RefusedError.
    """
    words = _exec_form(step)
    if words:
        if variables:
            names = ", ".join(variables)
            raise refusal(file, step, f"without a shell it cannot see the build arguments {names}", "write RUN COMMAND")
        return words
    used = tuple(shell) or SHELL
    if variables and os.path.basename(used[0]) not in _POSIX:
        raise refusal(file, step, f"build arguments cannot be given to the shell {used[0]}", "use ENV instead of ARG")
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
    return (*used, exports + _script(step))


def _exec_form(step: Instruction) -> tuple[str, ...]:
    """RUN ["program", "argument"]; what is not such an array is for the shell, as engines have it."""
    if not step.arguments.startswith("["):
        return ()
    try:
        words = json.loads(step.arguments)
    except (ValueError, RecursionError):
        return ()
    return tuple(words) if all(isinstance(word, str) for word in words) else ()


def _is_whole(step: Instruction) -> bool:
    """Whether the text after <<EOF is the whole step: RUN <<EOF, and not RUN python3 <<EOF, which the shell reads."""
    return len(step.heredocs) == 1 and len(step.arguments.split()) == 1


def _script(step: Instruction) -> str:
    if not step.heredocs:
        return step.arguments
    if _is_whole(step):
        return "\n".join((*step.heredocs[0].body, ""))
    # Tabs of <<- are gone already, which changes nothing.
    return step.arguments + "\n" + "".join("\n".join((*each.body, each.name)) + "\n" for each in step.heredocs)
