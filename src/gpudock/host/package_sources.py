"""Where packages of NVIDIA and of container engines come from: apt, yum and zypper sources, without credentials."""

import re
from collections.abc import Iterator

from gpudock.facts.system import PackageSource
from gpudock.host.plain import one_line
from gpudock.host.root import Root

APT, APT_PARTS = "/etc/apt/sources.list", "/etc/apt/sources.list.d"
REPO_FOLDERS = ("/etc/yum.repos.d", "/etc/zypp/repos.d")

SUBJECT = re.compile(r"nvidia|cuda|docker|podman|containers|containerd|cri-o", re.IGNORECASE)
ARCHIVE_PART = re.compile(r"\b(?:non-free|restricted|multiverse|contrib)\b")  # where distributions keep the driver
CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@")
QUERY = re.compile(r"(://[^\s?]*)\?\S*")


def read(machine: Root) -> tuple[PackageSource, ...]:
    """Enabled sources, each as one line. Same order as the files' names."""
    found: list[PackageSource] = []
    for path in (APT, *(f"{APT_PARTS}/{name}" for name in machine.names(APT_PARTS))):
        text = machine.text(path) or ""
        lines = _deb822(text) if path.endswith(".sources") else _one_line_style(text)
        if path.endswith((".list", ".sources")):
            found += _chosen(path, lines, deb=True)
    for folder in REPO_FOLDERS:
        for name in machine.names(folder):
            if name.endswith(".repo"):
                found += _chosen(f"{folder}/{name}", _repo(machine.text(f"{folder}/{name}") or ""), deb=False)
    return tuple(found)


def _chosen(path: str, lines: Iterator[str], *, deb: bool) -> Iterator[PackageSource]:
    for line in lines:
        if SUBJECT.search(path.rpartition("/")[2] + " " + line) or (deb and ARCHIVE_PART.search(line)):
            yield PackageSource(path=one_line(path), line=one_line(QUERY.sub(r"\1", CREDENTIALS.sub("", line))))


def _one_line_style(text: str) -> Iterator[str]:
    for line in text.splitlines():
        entry = line.partition("#")[0].strip()
        if entry.startswith(("deb ", "deb-src ", "deb\t", "deb-src\t")):
            yield entry


def _deb822(text: str) -> Iterator[str]:
    """Each stanza in the one-line style: "deb [signed-by=/usr/share/keyrings/x.gpg] URI suite component"."""
    for stanza in re.split(r"\n[ \t]*\n", text):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in {" ", "\t"}:
                fields[name] = f"{fields.get(name, '')} {line.strip()}"
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        if not fields.get("uris") or fields.get("enabled", "yes").lower() in {"no", "false", "off", "0"}:
            continue
        key = fields.get("signed-by", "").strip()
        option = f"[signed-by={key if key.startswith('/') else 'inline'}]" if key else ""
        parts = (fields.get("types", "deb"), option, fields["uris"], fields.get("suites"), fields.get("components"))
        yield " ".join(part for part in parts if part)


def _repo(text: str) -> Iterator[str]:
    """Each enabled section as "[id] address gpgcheck=1"."""
    for section in re.split(r"^(?=\[)", text, flags=re.MULTILINE):
        head, _, body = section.partition("\n")
        if not head.startswith("["):
            continue
        pairs = (line.partition("=") for line in body.splitlines() if not line.startswith(("#", ";")))
        fields = {name.strip().lower(): value.strip() for name, sign, value in pairs if sign}
        if fields.get("enabled", "1").lower() in {"0", "false", "no", "off"}:
            continue
        address = fields.get("baseurl") or fields.get("mirrorlist") or fields.get("metalink") or ""
        check = fields.get("gpgcheck")
        yield f"{head.strip()} {address}" + (f" gpgcheck={check}" if check else "")
