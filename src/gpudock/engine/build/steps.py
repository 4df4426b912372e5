"""Builds a Dockerfile in parts on docker: each marked step is run in a container with GPUs, and committed.

GPUs come by CDI or by docker's --gpus, build arguments by the step's own shell, and nothing by -e, because a commit
keeps what -e set. That the image's settings are as before, but for what is put back, is checked after each commit.
"""

import json
import os
from typing import TYPE_CHECKING

from gpudock import proc
from gpudock.engine.build import stages, step, verify
from gpudock.engine.build.arguments import Arguments
from gpudock.engine.build.dockerfile import Dockerfile, Instruction
from gpudock.engine.build.gpus import Gpus
from gpudock.engine.build.verify import Image
from gpudock.engine.build.way import RUNTIME
from gpudock.engine.build.work import FailedError, Work
from gpudock.errors import EngineError
from gpudock.plan import requirement
from gpudock.plan.quote import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

# Flags of `build` that `run` knows too, and which then mean the same.
_ALIKE = (
    *("add-host", "cgroup-parent", "cpu-period", "cpu-quota", "cpu-shares", "cpuset-cpus", "cpuset-mems", "isolation"),
    *("memory", "memory-swap", "network", "security-opt", "shm-size", "ulimit"),
)
_PUT_BACK = ("Cmd", "Entrypoint", "Shell")  # by the instructions that continue the file
# No run looks at them; ArgsEscaped, which Docker 29 loses, means something on Windows alone.
_OF_A_CONTAINER = ("ArgsEscaped", "Hostname", "AttachStdin", "AttachStdout", "AttachStderr", "Image")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")  # build arguments without an ARG


def check(file: Dockerfile, arguments: Arguments) -> None:
    """Raises RefusedError where a marked step cannot be run in a container, as far as the file alone tells."""
    stages.cannot_split(file)
    for index in stages.marked(file, _target(arguments)):
        step.check(file, file.instructions[index])


def _target(arguments: Arguments) -> str | None:
    return next(reversed(arguments.values("target")), None)


def build(work: Work, file: Dockerfile) -> str:
    """The image's id, of a file that was checked. Raises GpudockError, and FailedError."""
    target = _target(work.arguments)
    name = "gpudock-build/" + os.urandom(8).hex()
    tags: list[str] = []
    try:
        while (index := next(stages.marked(file, target), None)) is not None:
            tags.append(f"{name}:{len(tags) + 1}")
            file = _step(work, file, index, tags[-1])
        return work.whole(file)
    finally:
        for tag in tags:  # of a whole build these are names of layers that the image needs, and go alone
            work.tools.run(proc.Command((*work.client.words, "rmi", tag)))


def _step(work: Work, file: Dockerfile, index: int, tag: str) -> Dockerfile:
    """The file with the step done, and its stage continued from the image `tag`."""
    at = file.instructions[index]
    began = work.part(file, file.text(index))
    image = verify.inspect(work.client, began, work.tools.run)
    if image.config.get("OnBuild"):
        raise stages.refusal(file, at, "ONBUILD stands before it in its stage", "move ONBUILD to the end of the stage")
    variables = _variables(image)
    requirement.check(requirement.from_environment(variables)[0], work.gpus.chosen.properties)
    values = _arguments(work, file, index)
    seen = {name: value for name, value in values.items() if value is not None and name not in variables}
    shell = image.config.get("Shell")
    command = step.command(file, at, shell if isinstance(shell, list) else (), _proxies(work) | seen)
    _run(work, at, ("--entrypoint", command[0], began, *command[1:]), tag)
    _same(image, verify.inspect(work.client, tag, work.tools.run))
    return stages.continued(file, index, tag, values, image.config)


def _variables(image: Image) -> dict[str, str]:
    entries = image.config.get("Env")
    pairs = (str(entry).partition("=") for entry in (entries if isinstance(entries, list) else ()))
    return {name: value for name, _, value in pairs}


def _arguments(work: Work, file: Dockerfile, index: int) -> dict[str, str | None]:
    """The build arguments in scope, as the engine understands them; None: without a value."""
    declared = stages.arguments(file, index)
    if not declared:
        return {}
    told = work.part(file, stages.asking(file, index, tuple(declared)), fresh=False)
    found = verify.inspect(work.client, told, work.tools.run).config.get("Labels")
    labels: Mapping[str, str] = found if isinstance(found, dict) else {}
    work.tools.run(proc.Command((*work.client.words, "rmi", "--no-prune", told)))
    given = {value.partition("=")[0] for value in work.arguments.values("build-arg")}
    return {
        name: value if (value := labels.get(stages.ARGUMENT_LABEL + name, "")) or valued or name in given else None
        for name, valued in declared.items()
    }


def _proxies(work: Work) -> dict[str, str]:
    found = {}
    for each in work.arguments.values("build-arg"):
        name, equals, value = each.partition("=")
        if name.upper() in _PROXIES:
            found[name] = value if equals else work.tools.environment.get(name, "")
    return found


def _run(work: Work, at: Instruction, step_words: tuple[str, ...], tag: str) -> None:
    name = tag.replace("/", "-").replace(":", "-")
    words = work.client.words
    gpus = devices(work.gpus, cdi=work.cdi)
    flags = [word for each in work.arguments.flags if each.name in _ALIKE for word in each.words]
    work.tools.say(f"line {at.line}, with GPUs: RUN {at.arguments[:200]}")
    try:
        code = work.tools.show((*words, "run", "--name", name, *flags, *gpus, *step_words))
        if code:
            work.tools.say(f"line {at.line}: the step ended with exit code {code}")
            raise FailedError(code)
        done = work.tools.run(
            proc.Command((*words, "commit", "--message", f"RUN {at.arguments} # with GPUs", name, tag), timeout=3600)
        )
        if not done.ok:
            raise EngineError("The step cannot be committed.", why=quote(done.err.strip(), 300))
    finally:
        work.tools.run(proc.Command((*words, "rm", "--force", "--volumes", name)))


def devices(gpus: Gpus, *, cdi: bool) -> tuple[str, ...]:
    """The flags of `docker run` that give GPUs and leave no variable behind."""
    if cdi:
        return tuple(word for device in gpus.devices for word in ("--device", device))
    return ("--runtime", RUNTIME, "--gpus", gpus.flag)


def _same(before: Image, after: Image) -> None:
    """Raises EngineError when the commit changed the image's settings."""
    ignored = (*_PUT_BACK, *_OF_A_CONTAINER)
    for key in sorted({*before.config, *after.config} - {*ignored}):
        was, now = before.config.get(key) or None, after.config.get(key) or None
        if was != now:
            raise EngineError(
                f"Docker's commit changed {key} of the image.",
                why=quote(f"{json.dumps(was)} became {json.dumps(now)}", 300),
                mend="see whether ~/.docker/config.json gives every container variables (proxies), and use --build-arg",
            )
