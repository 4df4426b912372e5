"""`gpudock compose`: the words of a compose program, with GPUs."""

import os
from typing import TYPE_CHECKING

from gpudock.compat.compose import make, project, session, store, style
from gpudock.compat.compose.explain import explained
from gpudock.compat.compose.project import Project
from gpudock.compat.compose.served import Served, served, unused
from gpudock.compat.compose.session import WITHOUT_FILES, WITHOUT_GPUS, Session, Start, Way
from gpudock.compat.compose.words import Grammar, Words
from gpudock.errors import UsageError
from gpudock.plan.request import NONE, VOID, Request, parse_gpus

if TYPE_CHECKING:
    from gpudock.compat.compose.document import Document

GRAMMAR = Grammar(
    valued={
        "--style": "style",
        "--gpus": "gpus",
        "--engine": "engine",
        "-t": "template",
        "--template": "template",
        "-o": "output",
        "--output": "output",
        "-H": "host",
        "--host": "host",
        "-c": "context",
        "--context": "context",
    },
    switches={"--check": "check", "-G": "generate", "--generate": "generate", "--dry-run": "dry_run"},
)


def start(words: Words, around: Session) -> Start:
    """What to run, and the files to write before. Raises GpudockError."""
    wanted = words.own.get("style", "")
    if wanted and wanted not in style.STYLES:
        raise UsageError(f"--style {wanted} is none.", mend="use one of " + ", ".join(style.STYLES))
    default = _default(words)
    shows = bool(words.switches & {"check", "generate"})
    if words.verb in WITHOUT_FILES and not shows:
        return Start((*session.first_program(words, around).argv, *words.plain))
    way: Way | None = None
    template: tuple[Document, ...] = ()
    paths: tuple[str, ...] = ()
    if "template" in words.own:
        way = session.by_engine(words, around)
        assert way.gpus is not None
        document, folder = session.templated(words.own["template"], around, session.gpu_nodes(way.gpus))
        template = (document,)
        folder = os.path.join(around.folder, words.folder) if words.folder else folder
    else:
        paths, folder = session.files(words, around)
    found = session.load(words, around, paths, folder, template)
    started = session.active(words, found)
    every = served(found, None, default, started)
    needs = any(each.ask.request is not None for each in every)
    if needs and (shows or words.verb not in WITHOUT_GPUS):
        way = way or session.by_engine(words, around)
        every = served(found, way.give, default, (lambda _: False) if "check" in words.switches else started)
    if "check" in words.switches:
        return explained(found, every, way, around)
    runs = way.program if way else session.first_program(words, around)
    notes = _notes(every, way)
    if "generate" in words.switches:
        return _generated(words, found, every, around, notes)
    kept = store.Store(
        around.run, found.folder, *(part.document.text for part in found.main), str([each.given for each in every])
    )
    where = make.Where(
        lambda part, number: kept.path(part.document.name, number),
        everywhere=not runs.reads_from_anywhere,
        every_file=bool(template),
    )
    files = make.made(found, every, where)
    if not files.texts:
        return Start((*runs.argv, *words.plain), runs.environment)
    if way is not None:
        names = [name for each in every if each.given for name in each.given.gift.volume_names]
        session.ensured(tuple(dict.fromkeys(names)), way, words, around)
    argv = session.command(runs, words, found, files.main, directory=True)
    return Start(argv, session.environment(runs, found, around), files.texts, notes)


def _default(words: Words) -> Request | None:
    text = words.own.get("gpus")
    request = parse_gpus(text) if text is not None else None
    return None if request is None or request.devices in {NONE, VOID} else request


def _notes(every: tuple[Served, ...], way: Way | None) -> tuple[str, ...]:
    given = [note for each in every if each.given for note in each.given.notes]
    if way is None:
        return ()
    return (*(way.notes if any(each.given for each in every) else ()), *given, *unused(every))


def _generated(
    words: Words, found: Project, every: tuple[Served, ...], around: Session, notes: tuple[str, ...]
) -> Start:
    """The files, to standard output or where -o says."""
    output = words.own.get("output", "-")
    if output == "-" and len(found.main) > 1:
        raise UsageError("Several compose files do not fit on standard output.", mend="name a file: -o FILE")
    where = outputs("/dev/stdout" if output == "-" else output, found, around)
    files = make.made(found, every, where)
    texts = dict(files.texts)
    text = texts.pop("/dev/stdout", "")
    return Start(texts=texts, notes=notes, document=text)


def outputs(output: str, found: Project, around: Session) -> make.Where:
    """Files named by -o: OUT.yml, OUT.2.yml, ... Raises UsageError where that is a file of the user's own."""
    stem, extension = os.path.splitext(os.path.join(around.folder, output))
    folder = os.path.normpath(os.path.dirname(stem))

    def path(part: project.Part, number: int) -> str:
        del part
        made = f"{stem}.{number + 1}{extension}" if number else stem + extension
        used = [each.document.name for each in (*found.main, *found.others.values())]
        if any(os.path.exists(each) and os.path.exists(made) and os.path.samefile(each, made) for each in used):
            raise UsageError(f"{made} is one of the files that are read.", mend="name another one: -o FILE")
        return made

    return make.Where(path, everywhere=folder != found.folder, every_file=True)
