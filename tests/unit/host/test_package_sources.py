"""Package sources: those that matter, disabled ones left out, credentials removed."""

from pathlib import Path

from gpudock.host import package_sources
from unit.recorded import fill


def lines(folder: Path, files: dict[str, str]) -> list[str]:
    return [source.line for source in package_sources.read(fill(folder, files))]


def test_one_line_style(tmp_path: Path) -> None:
    text = """\
deb http://archive.example/debian bookworm main
deb http://archive.example/debian bookworm main non-free non-free-firmware
# deb https://nvidia.example/libnvidia-container/stable/deb/amd64 /
deb [signed-by=/usr/share/keyrings/nvidia.gpg] https://user:s3cret@nvidia.example/deb?token=abc /  # toolkit
"""
    assert lines(tmp_path, {"/etc/apt/sources.list": text}) == [
        "deb http://archive.example/debian bookworm main non-free non-free-firmware",
        "deb [signed-by=/usr/share/keyrings/nvidia.gpg] https://nvidia.example/deb /",
    ]


def test_a_file_named_docker_counts_whatever_its_address(tmp_path: Path) -> None:
    files = {
        "/etc/apt/sources.list.d/docker.list": "deb https://mirror.example/x bookworm stable\n",
        "/etc/apt/sources.list.d/docker.list.save": "deb https://mirror.example/docker bookworm stable\n",
    }
    (source,) = package_sources.read(fill(tmp_path, files))
    assert (source.path, source.line) == (
        "/etc/apt/sources.list.d/docker.list",
        "deb https://mirror.example/x bookworm stable",
    )


def test_deb822(tmp_path: Path) -> None:
    text = """\
# cuda
Types: deb
URIs: https://me:pw@cuda.example/repos/
Suites: ./
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBF

Types: deb deb-src
URIs: http://archive.example/ubuntu
Suites: noble noble-updates
Components: main
 restricted
Signed-By: /usr/share/keyrings/ubuntu.gpg

Enabled: no
Types: deb
URIs: https://docker.example/
Suites: noble
"""
    assert lines(tmp_path, {"/etc/apt/sources.list.d/all.sources": text}) == [
        "deb [signed-by=inline] https://cuda.example/repos/ ./",
        "deb deb-src [signed-by=/usr/share/keyrings/ubuntu.gpg] http://archive.example/ubuntu noble noble-updates main restricted",
    ]


def test_yum_and_zypper(tmp_path: Path) -> None:
    text = """\
[libnvidia-container]
name=libnvidia-container
baseurl=https://user:pw@nvidia.example/rpm/$basearch
gpgcheck=0
username = me
password = s3cret

[libnvidia-container-experimental]
baseurl=https://nvidia.example/experimental
enabled = 0

[baseos]
metalink=https://mirrors.example/metalink?repo=baseos
"""
    files = {"/etc/yum.repos.d/a.repo": text, "/etc/zypp/repos.d/cuda.repo": "[c]\nbaseurl=https://x.example/c\n"}
    assert lines(tmp_path, files) == [
        "[libnvidia-container] https://nvidia.example/rpm/$basearch gpgcheck=0",
        "[c] https://x.example/c",
    ]
