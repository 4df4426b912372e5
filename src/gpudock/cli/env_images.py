"""`gpudock env images` and `rmi`."""

import json

from gpudock.cli.env_here import engine_of
from gpudock.cli.env_words import verb
from gpudock.cli.run import WHICH_ENGINE
from gpudock.cli.terminal import say, show
from gpudock.cli.verb import Option

_ALL = Option(("--all", "-a"), "everybody", "Everybody's, not only yours.", default=False)


def _images(
    *,
    everybody: bool,
    as_json: bool,
    engine: str | None,
    context: str | None,
    host: str | None,
    words: tuple[str, ...],
) -> int:
    """List the images of your environments: lock, size, and the containers that have them.

    Owner and project are what an image's labels claim. What removing one frees is less than its size where layers are
    shared; gpudock env gc shows that.
    """
    del words
    from gpudock.env.image import store
    from gpudock.env.words import size

    found = store.stored(engine_of(engine, context, host), everybody=everybody)
    if as_json:
        show(json.dumps([each._asdict() for each in found], indent=2))
        return 0
    if not found:
        say("no images of environments" + ("" if everybody else " of yours; --all shows everybody's"))
        return 0
    rows = [("ENVIRONMENT", "IMAGE", "SIZE", "OWNER", "PROJECT", "USED BY")]
    for each in found:
        name = each.names[0].removeprefix("localhost/") if each.names else each.id[:12]
        rows.append((each.environment, name, size(each.size), each.owner, each.project, ", ".join(each.used) or "-"))
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        show("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _rmi(*, everybody: bool, engine: str | None, context: str | None, host: str | None, words: tuple[str, ...]) -> int:
    """Remove images of your environments, by environment, name or id. One that any container has is never removed."""
    from gpudock.env.image import store
    from gpudock.errors import UsageError

    if not words:
        raise UsageError("Which image?", mend="gpudock env images shows them")
    session = engine_of(engine, context, host)
    for name in words:
        removed = store.remove(session, name, everybody=everybody)
        show(f"removed {removed.names[0] if removed.names else removed.id[:12]}")
    return 0


images = verb(_images, (_ALL, Option(("--json",), "as_json", "Print JSON.", default=False), *WHICH_ENGINE))
rmi = verb(_rmi, (_ALL, *WHICH_ENGINE), ("IMAGE...",), most=100)
