"""`gpudock env gc`: what can go, what that frees, and only then the question."""

from gpudock.cli.env_words import verb
from gpudock.cli.run import WHICH_ENGINE
from gpudock.cli.terminal import agreed, say, show
from gpudock.cli.verb import Option


def _gc(
    *, engine: str | None, context: str | None, host: str | None, yes: bool, dry_run: bool, words: tuple[str, ...]
) -> int:
    """Remove images of your environments that nobody needs: of projects that are gone, and older than the newest.

    Shows them first, with what removing them really frees: layers that other images have too stay. An image that any
    container uses, running or not, is never touched; nor is anybody else's.
    """
    del words
    from gpudock.cli.env_here import engine_of
    from gpudock.env import gc
    from gpudock.env.words import size

    session = engine_of(engine, context, host)
    found = gc.look(session)
    if not found:
        say("nothing to remove")
        return 0
    for each in found:
        show(f"{each.image.name}  {each.why}; frees {size(each.freed)}, {size(each.shared)} are shared and stay")
    total = size(sum(each.freed for each in found))
    if dry_run or not (yes or agreed(f"Remove {len(found)} images and free {total}?", "--yes")):
        return 0
    failed = 0
    for each in found:
        problem = gc.remove(session, each)
        failed += bool(problem)
        if problem:
            say(f"{each.image.name} stays: {problem}")
    say(f"freed about {total}" if not failed else f"{failed} of {len(found)} images stay")
    return 1 if failed else 0


gc = verb(
    _gc,
    (
        *WHICH_ENGINE,
        Option(("--yes", "-y"), "yes", "Remove without asking.", default=False),
        Option(("--dry-run",), "dry_run", "Only show.", default=False),
    ),
)
