"""`gpudock build` from the command line to the image."""

import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping
from typing import NamedTuple

from gpudock import proc
from gpudock.engine import answering, local
from gpudock.engine.asked import QUICK
from gpudock.engine.base import Answer, Client
from gpudock.engine.build import buildah, gpus, source, stages, steps, verify, way
from gpudock.engine.build.arguments import Arguments
from gpudock.engine.build.dockerfile import Dockerfile
from gpudock.engine.build.gpus import Gpus
from gpudock.engine.build.way import Facts, Way
from gpudock.engine.build.work import FailedError, Tools, Work
from gpudock.plan.request import Request

_RUNTIME = "current/gpudock-runtime"


class _Decided(NamedTuple):
    client: Client
    answer: Answer
    facts: Facts
    way: Way
    file: Dockerfile | None  # None: the engine reads the user's own
    gpus: Gpus

    @property
    def command(self) -> tuple[str, ...]:
        """The engine's words up to "build"."""
        return buildah.build_words(self.client, self.facts.runtime if self.way is way.BY_RUNTIME else None)

    @property
    def flags(self) -> tuple[str, ...]:
        if self.way is way.DEVICE:
            return tuple(word for device in self.gpus.devices for word in ("--device", device))
        if self.way is way.BUILDKIT:
            return self._of_buildkit
        return ()

    @property
    def _of_buildkit(self) -> tuple[str, ...]:
        found = self.facts.builder
        assert found is not None
        asking = () if found.automatic else self.gpus.devices
        allowed = tuple(word for device in asking for word in ("--allow", f"device={device}"))
        return allowed if found.driver == "docker" else (*allowed, "--load")

    @property
    def folders(self) -> tuple[str, ...]:
        """Where CDI specifications may be."""
        return tuple(dict.fromkeys((*self.answer.cdi_folders, *filter(None, (self.gpus.folder,)))))

    @property
    def rewritten(self) -> Dockerfile | None:
        """The file with GPUs in its steps; None where it stays the user's own."""
        if self.file is None or self.way is way.STEPS:
            return None
        if self.way is way.BUILDKIT:
            return stages.with_devices(self.file, self.gpus.devices)
        return stages.with_variables(self.file, self.gpus.variables)


def perform(arguments: Arguments, request: Request, clients: tuple[Client, ...], here: local.Here, tools: Tools) -> int:
    """The exit code: the engine's own when its build or a step fails. Raises GpudockError."""
    decided = _decided(arguments, request, clients, here, tools)
    if decided.way is way.STEPS and decided.file is not None:
        steps.check(decided.file, arguments)
    tools.say(f"{decided.client.name} {decided.answer.version}: {decided.way.text}")
    for note in _notes(decided):
        tools.say(note)
    if arguments.dry_run:
        _print(decided, arguments)
        return 0
    folder = tempfile.mkdtemp(prefix="gpudock-build-")
    own = _environment(decided, tools.environment, folder)
    cdi = decided.answer.cdi
    work = Work(decided.client, arguments, decided.gpus, tools, folder, decided.command, own, cdi)
    try:
        verify.forget(arguments)
        image = _built(work, decided)
        for line in verify.check(work.client, image, work.gpus.driver, tools.run, tools.reading):
            tools.say(line)
        verify.name(work.client, image, arguments, tools.run)
        for tag in arguments.values("tag"):
            tools.say(f"tagged {tag}")
    except FailedError as failure:
        if decided.way is way.DEVICE:
            for hint in way.HINTS:
                tools.say(hint)
        return failure.code
    finally:
        shutil.rmtree(folder)
    return 0


def _environment(decided: _Decided, environment: Mapping[str, str], folder: str) -> dict[str, str] | None:
    """For the build; None: the user's own. `folder`: the build's."""
    if decided.way is way.BY_DEFAULT:
        return {**environment, "DOCKER_BUILDKIT": "0"}
    if decided.way is way.DEVICE and not decided.answer.remote and buildah.OVERRIDE not in environment:
        path = os.path.join(folder, "containers.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(buildah.looking_in(decided.folders))
        return {**environment, buildah.OVERRIDE: path}
    return None


def _built(work: Work, decided: _Decided) -> str:
    if decided.way is way.STEPS and decided.file is not None:
        return steps.build(work, decided.file)
    return work.whole(decided.rewritten, *decided.flags)


def _decided(
    arguments: Arguments, request: Request, clients: tuple[Client, ...], here: local.Here, tools: Tools
) -> _Decided:
    client, answer, told, notes = answering.first(clients, tools.run)
    for note in notes:
        tools.say(note)
    facts = _facts(client, told, arguments, here, tools)
    found = way.choose(client, answer, facts)
    file = None if found is way.DEVICE else source.read(arguments, client.name)
    if found is None or file is not None:
        assert file is not None
        found = way.with_file(found, client, answer, file)
    way.refuse(arguments, found)
    given = gpus.find(client, answer, request, here, tools.run)
    if found is not way.BY_RUNTIME:
        client = _looking_in(client, answer, given.folder)
    return _Decided(client, answer, facts, found, file, given)


def _facts(client: Client, told: str, arguments: Arguments, here: local.Here, tools: Tools) -> Facts:
    if client.name in way.BUILDAHS:
        places = (f"{place.libexec}/{_RUNTIME}" for place in here.places)
        return Facts(runtime=next((path for path in places if os.path.exists(path)), None))
    asked = tools.environment.get("DOCKER_BUILDKIT", "")
    named = arguments.values("builder")[-1:]
    buildx = tools.run(proc.Command((*client.words, "buildx", "inspect", *named), timeout=QUICK))
    return Facts(
        default_runtime=str(json.loads(told).get("DefaultRuntime", "")),
        builder=way.builder(buildx.out) if buildx.ok else None,
        buildkit=None if not asked else asked.lower() not in {"0", "false", "f"},
    )


def _looking_in(client: Client, answer: Answer, folder: str) -> Client:
    if not folder or not answer.cdi or local.seen_by(answer, folder):
        return client
    told = client.looking_in(folder, answer)
    if told is None:
        raise local.unseen(client.name, answer, folder)
    return told


def _notes(decided: _Decided) -> tuple[str, ...]:
    given = decided.gpus
    simulated = ("SIMULATED GPUs: programs find a driver, but nothing computes.",) if given.simulated else ()
    theirs = (
        ("steps of an image that sets NVIDIA_VISIBLE_DEVICES itself get the GPUs that it names, not those of --gpus",)
        if decided.way in {way.BY_RUNTIME, way.BY_DEFAULT} and not given.chosen.everything
        else ()
    )
    return (*given.notes, *simulated, *theirs)


def _print(decided: _Decided, arguments: Arguments) -> None:
    """What would be done, on standard output: the command, and the Dockerfile where it is not the user's own."""
    file = decided.rewritten
    without = () if file is None else ("file",)
    named = () if file is None else ("--file", "-")
    words = (*decided.command, *arguments.words(*without), *decided.flags, *named, *arguments.contexts)
    environment = "DOCKER_BUILDKIT=0 " if decided.way is way.BY_DEFAULT else ""
    lines = [environment + shlex.join(words)]
    if decided.way is way.DEVICE and not decided.answer.remote:
        lines.insert(0, f"# with {', '.join(decided.folders)} among cdi_spec_dirs of containers.conf")
    if file is not None:
        lines.append(file.text().rstrip())
    elif decided.file is not None:
        flags = shlex.join(steps.devices(decided.gpus, cdi=decided.answer.cdi))
        lines += [f"line {each.line}: docker run {flags}" for each in decided.file.instructions if each.marked]
    sys.stdout.write("\n".join((*lines, "")))
