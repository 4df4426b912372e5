"""The layers in the stream of `docker save` or `podman save`, whichever form it has: any file in it that is a tar, also
compressed, is a layer. Which layers the image has the engine says, and each must have been seen: a layer's name is the
hash of its content.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from gpudock.engine.build import tarwalk
from gpudock.engine.build.tarwalk import Body, BrokenTarError, Member
from gpudock.errors import EngineError
from gpudock.plan.quote import quote

SHOWN = 20  # files in a message
CACHE = "etc/ld.so.cache"
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_UNPACKED_LIMIT = 1 << 44  # bytes of all layers


class Finding(NamedTuple):
    path: str
    reason: str
    layer: int  # from 1; 0 when it belongs to no layer of the image


class Found(NamedTuple):
    findings: tuple[Finding, ...]  # of SHOWN at most
    number: int  # of all
    cache: bool  # a layer has a linker cache


class _Stream:
    """What a layer holds, unpacked, with its hash. `start` was read from the file already."""

    def __init__(self, body: Body, start: bytes) -> None:
        self._body = body
        self._waiting = start
        self._gzip = zlib.decompressobj(wbits=31) if start.startswith(_GZIP) else None
        self._sum = hashlib.sha256()
        self.size = 0

    def read(self, size: int) -> bytes:
        data = self._some(size)
        self._sum.update(data)
        self.size += len(data)
        if self.size > _UNPACKED_LIMIT:
            raise BrokenTarError("it is larger than any layer")
        return data

    def _some(self, size: int) -> bytes:
        if self._gzip is None:
            data, self._waiting = self._waiting[:size], self._waiting[size:]
            return data or self._body.read(size)
        while True:
            packed = self._gzip.unconsumed_tail or self._gzip.unused_data or self._waiting or self._body.read(1 << 16)
            self._waiting = b""
            if not packed:
                if not self._gzip.eof:
                    raise BrokenTarError("its compressed data end too early")
                return b""
            if self._gzip.eof:  # several compressed pieces, one after the other
                self._gzip = zlib.decompressobj(wbits=31)
            try:
                data = self._gzip.decompress(packed, size)
            except zlib.error as error:
                raise BrokenTarError(f"its compression is broken: {error}") from error
            if data:
                return data

    def finish(self) -> str:
        """Read to the end; the hash by which engines name the layer."""
        while self.read(tarwalk.CHUNK):
            pass
        return "sha256:" + self._sum.hexdigest()


def look(
    read: tarwalk.Read,
    expected: tuple[str, ...],
    reason: Callable[[Member], str],
    ended: Callable[[str], None] = lambda _: None,
) -> Found:
    """Every file of every layer, judged by `reason`. expected: names of the image's layers, in order. `ended` gets the
    name of each layer after its last member, "" for one that does not count.

    Raises BrokenTarError, and EngineError when a layer did not come.
    """
    kept: list[Finding] = []
    number = 0
    seen: set[str] = set()
    cache = False
    for member in tarwalk.members(read):
        if member.kind != tarwalk.REGULAR or not member.size:
            continue
        findings, name, has_cache = _layer(member, reason)
        counts = name in expected and name not in seen
        ended(name if counts else "")
        if not counts:
            continue
        seen.add(name)
        cache = cache or has_cache
        number += len(findings)
        kept += [each._replace(layer=expected.index(name) + 1) for each in findings][: SHOWN - len(kept)]
    missing = [layer for layer in expected if layer not in seen]
    if missing:
        raise EngineError(
            "Not every layer of the image could be looked at.",
            why=f"{len(missing)} of {len(expected)} did not come, the first is {quote(missing[0])}",
            mend="build the image again",
        )
    return Found(tuple(kept), number, cache)


def _layer(member: Member, reason: Callable[[Member], str]) -> tuple[list[Finding], str, bool]:
    """What was found in a file of the archive; its name is "" when it is no layer."""
    start = _begin(member.body)
    if start.startswith(_ZSTD):
        raise EngineError(
            "The image cannot be looked at.",
            why="its layers are compressed with zstd",
            mend="build it without compression=zstd",
        )
    stream = _Stream(member.body, start)
    first = b""
    if start.startswith(_GZIP):
        while len(first) < tarwalk.BLOCK and (more := stream.read(tarwalk.BLOCK - len(first))):
            first += more
    else:
        first = stream.read(tarwalk.BLOCK)
    if not tarwalk.is_tar(first):
        return [], "", False
    findings: list[Finding] = []
    cache = False
    for each in tarwalk.members(stream.read, first):
        cache = cache or each.name == CACHE
        why = reason(each)
        if why and len(findings) < 1 << 16:
            findings.append(Finding("/" + each.name, why, 0))
    return findings, stream.finish(), cache


def _begin(body: Body) -> bytes:
    start = b""
    while len(start) < tarwalk.BLOCK and body.left:
        start += body.read(tarwalk.BLOCK - len(start))
    return start


def lines(found: Found) -> Iterator[str]:
    """The findings for a message."""
    for each in found.findings:
        yield f"{quote(each.path, 200)}: {each.reason} (layer {each.layer})"
    if found.number > len(found.findings):
        yield f"and {found.number - len(found.findings)} more"
