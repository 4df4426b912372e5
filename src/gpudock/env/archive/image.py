"""An image in an engine's store, and by which words it comes out and in."""

from typing import NamedTuple

import msgspec

from gpudock.env.session import Session
from gpudock.errors import EngineError, RefusedError
from gpudock.plan.quote import quote


class Image(NamedTuple):
    id: str  # 64 hexadecimal digits
    layers: tuple[str, ...]
    size: int
    labels: dict[str, str]
    names: tuple[str, ...] = ()
    entry: tuple[str, ...] = ()

    def save_words(self, session: Session) -> tuple[str, ...]:
        """By its id, so that the file names no image and loading it moves no name."""
        # Docker 29 takes 64 bare digits for a name that nothing may have.
        return ("save", "--format", "docker-archive", self.id) if session.podman else ("save", f"sha256:{self.id}")


class _RootFs(msgspec.Struct, rename="pascal"):
    layers: list[str] | None = None


class _Config(msgspec.Struct, rename="pascal"):
    labels: dict[str, str] | None = None
    entrypoint: list[str] | None = None


class _Told(msgspec.Struct, rename="pascal"):
    id: str
    size: int = 0
    repo_tags: list[str] | None = None
    root_f_s: _RootFs = msgspec.field(default_factory=_RootFs, name="RootFS")
    config: _Config | None = None


def find(session: Session, reference: str) -> Image | None:
    told = session.ask("image", "inspect", "--", reference)
    if not told.ok:
        return None
    try:
        (found,) = msgspec.json.decode(told.out, type=list[_Told])
    except (msgspec.MsgspecError, ValueError) as error:
        raise EngineError(
            f"The answer about the image {quote(reference)} cannot be understood.", why=str(error)
        ) from error
    config = found.config or _Config()
    names, entry = tuple(found.repo_tags or ()), tuple(config.entrypoint or ())
    layers = tuple(found.root_f_s.layers or ())
    return Image(found.id.removeprefix("sha256:"), layers, found.size, config.labels or {}, names, entry)


def needed(session: Session, reference: str) -> Image:
    found = find(session, reference)
    if found is None:
        raise RefusedError(f"The image {quote(reference)} is not here.", mend="gpudock env build")
    return found
