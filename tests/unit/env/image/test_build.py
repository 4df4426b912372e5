"""What a build says of packages that are gone, and the user's own Dockerfile."""

from pathlib import Path

import pytest

from gpudock.engine import labels
from gpudock.env import project as projects
from gpudock.env.image import build
from gpudock.env.session import Session
from gpudock.proc import Result
from unit.env.locks import LOCK
from unit.env.sessions import session


@pytest.mark.parametrize(
    ("line", "package"),
    [
        ("E: Version '2.1.0-9' for 'tree' was not found", "tree 2.1.0-9"),
        ("E: Unable to locate package tree", "tree"),
        ("ERROR: No matching distribution found for six==0.0.999", "six 0.0.999"),
        (f"gpudock: not as locked: {'0' * 64} tree=2.1.0-1", "tree 2.1.0-1"),
        ("    six==1.17.0 from https://x/six.whl (from -r /x/python.lock (line 1)):", "six 1.17.0"),
        ("#9 1.2 E: Version '1' for 'a' was not found", "a 1"),
        ("npm error notarget No matching version found for code-server@4.1.0.", "code-server 4.1.0"),
        ("code-server-4.1.0.tgz: FAILED", "code-server 4.1.0"),
        ("all is well", ""),
        ("E: Version '\x1b[31m' for 'x' was not found", "x '\\x1b[31m'"),
    ],
)
def test_what_is_gone_is_named(line: str, package: str) -> None:
    assert build._gone(["Get:1 tree", line, "The command returned 100"]) == package


def test_a_dockerfile_of_ones_own_gets_the_arguments_that_it_declares(tmp_path: Path) -> None:
    (tmp_path / "gpudock.yaml").write_text("from: {dockerfile: Dockerfile, target: run}\nargs: {MODE: fast}\n")
    (tmp_path / "Dockerfile").write_text("FROM x AS run\nARG user_id=1\nARG MODE\n# gpudock: gpu\nRUN id\n")
    found = build._users(projects.load(str(tmp_path), 1000), session({}))
    flags = (*("--build-arg", "user_id=1000"), *("--build-arg", "MODE=fast"), *("--target", "run"))
    assert found == build._Words(("--file", f"{tmp_path}/Dockerfile", *flags), str(tmp_path), gpu=True)


def test_labels_say_whose_it_is(tmp_path: Path) -> None:
    (tmp_path / "gpudock.yaml").write_text("name: seg\n")
    found = build._labels(session({}), projects.load(str(tmp_path), 1000), LOCK)
    assert found[labels.OWNER_UID] == "1000"
    assert found[labels.PROJECT] == str(tmp_path)
    assert len(found[labels.LOCK]) == 64


def test_caches_between_builds_need_buildkit() -> None:
    from gpudock.engine.docker import Docker
    from gpudock.engine.endpoint import Endpoint

    def docker(answer: Result, **environment: str) -> Session:
        client = Docker("docker", Endpoint("unix:///var/run/docker.sock"), {}, "6.1")
        return session({("docker", "buildx"): answer})._replace(client=client, environment=environment)

    assert build.buildkit(docker(Result(0, "v0.20", "")))
    assert not build.buildkit(docker(Result(1, "", "unknown command")))
    assert not build.buildkit(docker(Result(0, "v0.20", ""), DOCKER_BUILDKIT="0"))
    assert not build.buildkit(session({}))  # podman
