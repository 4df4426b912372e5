"""A Dockerfile rewritten: cut before a step, continued from a committed image, given GPUs in every step. Pure."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from gpudock.engine.build.dockerfile import MARK, Dockerfile, Instruction
from gpudock.errors import RefusedError
from gpudock.plan.quote import quote

_NAME = re.compile(r"\sAS\s+(\S+)\s*$", re.IGNORECASE)
ARGUMENT_LABEL = "gpudock.build-argument."


def refusal(file: Dockerfile, step: Instruction, why: str, mend: str) -> RefusedError:
    return RefusedError(
        f"{quote(file.name)}, line {step.line}: this RUN step cannot be given GPUs.", why=why, mend=mend
    )


def stage_of(file: Dockerfile, index: int) -> int:
    """Index of the FROM that the instruction belongs to. Raises RefusedError when there is none."""
    for position in range(index, -1, -1):
        if file.instructions[position].keyword == "FROM":
            return position
    raise refusal(file, file.instructions[index], "no FROM stands before it", "begin the stage with FROM")


def marked(file: Dockerfile, target: str | None) -> Iterator[int]:
    """The marked steps of the stages that are built for the target."""
    stage = -1
    wanted = False
    for index, each in enumerate(file.instructions):
        if each.keyword == "FROM":
            if wanted:
                return
            stage += 1
            name = _NAME.search(each.arguments)
            wanted = target is not None and (
                target == str(stage) or (name is not None and name[1].lower() == target.lower())
            )
        elif each.marked:
            yield index


def arguments(file: Dockerfile, index: int) -> dict[str, bool]:
    """Build arguments in scope of a step: name -> whether the file gives it a value."""
    found: dict[str, bool] = {}
    for each in file.instructions[stage_of(file, index) : index]:
        if each.keyword == "ARG":
            try:
                words = shlex.split(each.arguments)
            except ValueError as error:
                raise refusal(file, each, f"its quotes cannot be read: {error}", "mend the quotes") from error
            for word in words:
                name, equals, _ = word.partition("=")
                found[name] = bool(equals) or found.get(name, False)
    return found


def asking(file: Dockerfile, index: int, names: Sequence[str]) -> str:
    """The file up to a step, and labels by which the engine tells the values of build arguments there."""
    labels = "".join(f'LABEL {ARGUMENT_LABEL}{name}="${{{name}}}"\n' for name in names)
    return file.text(index) + labels


def continued(
    file: Dockerfile,
    index: int,
    image: str,
    values: Mapping[str, str | None],
    config: Mapping[str, object],
) -> Dockerfile:
    """The file with the stage of a step replaced, up to and with that step, by the image that it was committed to.

    values: build arguments in scope, None for one without a value. config: of the image that the step began with, from
    which comes again what a commit changes or forgets.
    """
    start = stage_of(file, index)
    first = file.instructions[start]
    name = _NAME.search(first.arguments)
    lines = [f"FROM {image}" + (f" AS {name[1]}" if name else "")]
    lines += [
        f"ARG {each}" + ("" if value is None else f"={_quoted(file, index, value)}") for each, value in values.items()
    ]
    lines += [
        f"{keyword} {json.dumps(config.get(key) or [])}"
        for keyword, key in (("ENTRYPOINT", "Entrypoint"), ("CMD", "Cmd"))
    ]
    if config.get("Shell"):
        lines.append(f"SHELL {json.dumps(config['Shell'])}")
    made = tuple(Instruction(line.partition(" ")[0], first.line, line, line.partition(" ")[2]) for line in lines)
    return file._replace(instructions=(*file.instructions[:start], *made, *file.instructions[index + 1 :]))


def _quoted(file: Dockerfile, index: int, value: str) -> str:
    if "\n" in value or "\r" in value:
        raise refusal(
            file, file.instructions[index], "a build argument in scope has a line break", "give it without one"
        )
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") + '"'


def with_variables(file: Dockerfile, variables: Mapping[str, str]) -> Dockerfile:
    """Every stage with build arguments, which RUN steps see and the image does not keep."""
    lines = [f"ARG {name}={value}" for name, value in variables.items()]

    def made() -> Iterator[Instruction]:
        for each in file.instructions:
            yield each
            if each.keyword == "FROM":
                yield from (Instruction("ARG", each.line, line, line[4:]) for line in lines)

    return file._replace(instructions=tuple(made()))


def with_devices(file: Dockerfile, devices: Sequence[str]) -> Dockerfile:
    """RUN steps that name their devices to BuildKit: the marked ones, all when none is marked."""
    flags = " ".join(f"--device={device}" for device in devices)
    some = any(each.marked for each in file.instructions)

    def made(each: Instruction) -> Instruction:
        if each.keyword != "RUN" or (some and not each.marked) or "--device" in each.arguments.split(None, 1)[0]:
            return each
        return each._replace(raw=re.sub(r"^(\s*\S+)", rf"\1 {flags}", each.raw, count=1))

    return file._replace(instructions=tuple(made(each) for each in file.instructions))


def cannot_split(file: Dockerfile) -> None:
    """Raises RefusedError for a file whose steps cannot be run one by one."""
    if file.directives.get("escape", "\\") != "\\":
        raise RefusedError(
            f"{quote(file.name)}, line 1: the file cannot be split at its marked steps.",
            why="it has another escape character than \\",
            mend=f'write it with \\, or take the marks "{MARK}" away',
        )
