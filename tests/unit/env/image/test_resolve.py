"""What the container of the base image says, recorded of Debian 12."""

import base64
import json

import pytest

from gpudock.env.image import resolve
from gpudock.env.image.lock import NodePackage, Package
from gpudock.env.image.resolve import Question
from gpudock.errors import EngineError, InputError, RefusedError
from gpudock.proc import Result
from unit.env.locks import HASH
from unit.env.sessions import session

QUESTION = Question("debian:12", ("tree",), ("six",))
SYSTEM = f"""=== system
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
VERSION_ID="12"
ID=debian
=== machine
x86_64
=== apt
Inst libc6 [2.36-9] (2.36-9+deb12u9 Debian:12.9/stable [amd64]) []
Inst tree (2.1.0-1 Debian:12.9/stable [amd64])
=== hashes
Package: libc6
Architecture: amd64
Version: 2.36-9+deb12u9
SHA256: {HASH}

Package: tree
Version: 2.1.0-1
SHA256: {HASH[::-1]}

"""
ONE = {"download_info": {"url": "u", "archive_info": {"hash": f"sha256={HASH}"}}}
REPORT = {
    "version": "1",
    "install": [
        {
            "metadata": {"name": "Typing_Extensions", "version": "4.12"},
            "download_info": {"url": "https://x/t.whl", "archive_info": {"hashes": {"sha256": HASH}}},
            "is_direct": False,
        },
        {
            "metadata": {"name": "own", "version": "1"},
            "download_info": {"url": "https://x/own.tar.gz", "archive_info": {"hash": f"sha256={HASH}"}},
            "is_direct": True,
        },
    ],
}
PYTHON = f"=== python\n3.11.2\n=== pip\n{json.dumps(REPORT)}"


def test_packages_with_their_hashes() -> None:
    found = resolve.understand(SYSTEM + PYTHON, QUESTION)
    assert (found.distribution, found.architecture, found.python) == ("debian 12", "x86_64", "3.11.2")
    assert found.system_packages == (
        Package(name="libc6", version="2.36-9+deb12u9", sha256=HASH),
        Package(name="tree", version="2.1.0-1", sha256=HASH[::-1]),
    )
    assert found.python_packages == (
        Package(name="own", version="1", sha256=HASH, url="https://x/own.tar.gz"),
        Package(name="typing-extensions", version="4.12", sha256=HASH),
    )


def test_a_package_of_npm_by_the_hash_that_sha512sum_says() -> None:
    told = {
        "version": "4.139.1",
        "dist.integrity": f"sha512-{base64.b64encode(b'x' * 64).decode()}",
        "engines.node": "24",
    }
    found = resolve.understand(
        f"{SYSTEM}=== npm\n{json.dumps(told)}\n{PYTHON}", QUESTION._replace(node="code-server@latest")
    )
    assert found.node_packages == (NodePackage(name="code-server", version="4.139.1", sha512="78" * 64),)
    assert "\nNODE='code-server@latest'\n" in resolve.script(QUESTION._replace(node="code-server@latest"))
    weak = json.dumps({**told, "dist.integrity": "sha1-eHh4"})
    with pytest.raises(EngineError):
        resolve.understand(f"{SYSTEM}=== npm\n{weak}\n{PYTHON}", QUESTION)


def test_what_cannot_be_had() -> None:
    with pytest.raises(RefusedError, match=r"code-server@9 cannot be had.*E404"):
        resolve.understand(
            SYSTEM + "=== python\n3.11\n=== npm\n=== problem\nnpm error code E404\n",
            QUESTION._replace(node="code-server@9"),
        )
    with pytest.raises(RefusedError, match="Unable to locate package treee"):
        resolve.understand(SYSTEM + "=== problem\nE: Unable to locate package treee\n", QUESTION)
    with pytest.raises(RefusedError, match=r"cannot be had together.*ResolutionImpossible"):
        resolve.understand(SYSTEM + "=== python\n3.11\n=== pip\n=== problem\nERROR: ResolutionImpossible\n", QUESTION)
    with pytest.raises(RefusedError, match="no apt"):
        resolve.understand(SYSTEM + "=== problem\nno apt-get\n", QUESTION)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "=== machine\nx86_64\n=== pip\n{",
        "=== machine\nx86_64\n=== apt\nInst x (1 y)\n",
        "=== machine\nx86_64\n=== pip\n"
        + json.dumps({**REPORT, "install": [{**ONE, "metadata": {"name": "a b", "version": "1"}}]}),
    ],
)
def test_a_base_that_says_nonsense(said: str) -> None:
    with pytest.raises(EngineError):
        resolve.understand(said, QUESTION)


def test_no_hash_no_lock() -> None:
    report = {"install": [{"metadata": {"name": "a", "version": "1"}, "download_info": {"url": "git+https://x"}}]}
    with pytest.raises(RefusedError, match="has no hash"):
        resolve.understand("=== machine\nx\n=== pip\n" + json.dumps(report), QUESTION)


def test_the_script_is_given_names_and_no_code() -> None:
    text = resolve.script(Question("x", ("tree", "git=1:2.39"), ("six\nEOF\nrm -rf /",)))
    assert "PACKAGES='tree git=1:2.39'\nPYTHON=1\n" in text
    end = text.split("<<'", 1)[1][:32]
    assert text.split(end)[1].strip("'\n") == "six\nEOF\nrm -rf /"
    with pytest.raises(InputError, match="cannot be a system package"):
        resolve.script(Question("x", ("tree'; id",), None))


def test_the_reason_is_the_engines_and_not_where_its_help_is() -> None:
    said = (
        "docker: Error response from daemon: no space left on device\n\nRun 'docker run --help' for more information\n"
    )
    made = session({("podman", "run"): Result(125, "", said)})
    with pytest.raises(EngineError) as raised:
        resolve.resolve(made.client, QUESTION, made.run)
    assert "no space left" in raised.value.why
