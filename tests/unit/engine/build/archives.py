"""Layers and saved images, made in memory."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable, Mapping


def tar(files: Mapping[str, bytes | str], form: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar; a str is the target of a link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
            else:
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content) if isinstance(content, bytes) else None)
    return out.getvalue()


def digest(layer: bytes) -> str:
    return "sha256:" + hashlib.sha256(layer).hexdigest()


def saved(*layers: bytes, packed: bool = False) -> bytes:
    """As `docker save` writes it."""
    files: dict[str, bytes | str] = {"manifest.json": b'[{"Layers": []}]', "blobs/sha256/config": b"{}" * 600}
    for number, layer in enumerate(layers):
        files[f"{number}/layer.tar"] = gzip.compress(layer[:700]) + gzip.compress(layer[700:]) if packed else layer
    return tar(files)


def reader(data: bytes, most: int = 1 << 20) -> Callable[[int], bytes]:
    """Gives no more than `most` bytes at once."""
    stream = io.BytesIO(data)
    return lambda size: stream.read(min(size, most))
