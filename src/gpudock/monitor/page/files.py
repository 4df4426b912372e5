"""The page's files. They are read once, and only these are served: a request names one or gets nothing."""

import hashlib
import os
from collections.abc import Mapping
from typing import NamedTuple

_FOLDER = os.path.dirname(__file__)
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".LICENSE": "text/plain; charset=utf-8",
}
INDEX = "index.html"
# Scripts, styles and connections of this server only; nothing inline, nothing evaluated, nothing made of strings.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # kept, but asked for each time: an upgrade of gpudock is seen at once
}


class File(NamedTuple):
    body: bytes
    kind: str
    tag: str  # ETag


def read(folder: str = _FOLDER) -> Mapping[str, File]:
    """By path below the page's folder: "index.html", "vendor/uPlot.min.css"."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            kind = _KINDS.get(os.path.splitext(name)[1])
            if kind is None:
                continue
            path = os.path.join(place, name)
            with open(path, "rb") as file:
                body = file.read()
            tag = hashlib.sha256(body).hexdigest()[:20]
            found[os.path.relpath(path, folder)] = File(body, kind, f'"{tag}"')
    return found
