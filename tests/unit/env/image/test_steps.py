"""What engines say while they build: recorded of docker 20.10, BuildKit and podman 4.3."""

from collections.abc import Iterator

from gpudock.env.image.steps import Event, Steps, title

CLASSIC = """Sending build context to Docker daemon  3.072kB
Step 1/3 : FROM tiny
 ---> 6f4f1a2b3c4d
Step 2/3 : RUN true
 ---> Using cache
 ---> 111111111111
Step 3/3 : RUN echo hello && false
 ---> Running in 222222222222
hello
The command '/bin/sh -c echo hello && false' returned a non-zero code: 1"""

PODMAN = """STEP 1/3: FROM localhost/tiny
STEP 2/3: RUN true
--> Using cache 5e1b2a
--> 5e1b2a
STEP 3/3: RUN echo hello
hello
COMMIT x
--> 77aa
Successfully tagged localhost/x:latest"""

BUILDKIT = """#1 [internal] load build definition from Dockerfile
#1 DONE 0.0s
#4 [1/3] FROM docker.io/library/debian
#4 DONE 1.2s
#5 [2/3] RUN true
#5 CACHED
#6 [3/3] RUN echo hello
#6 0.211 hello
#6 DONE 0.3s
#7 exporting to image"""


def told(text: str, code: int = 0) -> tuple[list[Event], Steps]:
    def ticks() -> Iterator[float]:
        now = 0.0
        while True:
            yield now
            now += 1

    clock = ticks()
    steps = Steps(lambda: next(clock))
    events = [event for line in text.splitlines() for event in steps.read(line)]
    return [*events, *steps.finish(code)], steps


def test_dockers_classic_builder() -> None:
    events, steps = told(CLASSIC, 1)
    assert [(each.state, each.number) for each in events] == [
        *(("started", 1), ("done", 1), ("started", 2), ("cached", 2), ("started", 3), ("failed", 3)),
    ]
    assert events[-1].total == 3
    assert steps.tail[0] == "hello"


def test_podman() -> None:
    events, _ = told(PODMAN)
    assert [(each.state, each.number) for each in events if each.state != "started"] == [
        *(("done", 1), ("cached", 2), ("done", 3)),
    ]


def test_buildkit() -> None:
    events, steps = told(BUILDKIT)
    assert [(each.state, each.number, each.seconds) for each in events if each.state != "started"][:3] == [
        *(("done", 1, 1.2), ("cached", 2, 0.0), ("done", 3, 0.3)),
    ]
    assert steps.tail == ["hello"]


def test_titles() -> None:
    assert title("RUN export DEBIAN_FRONTEND=noninteractive packages=x && y") == "system packages"
    assert title("RUN python3 -m venv /opt/venv && z") == "Python packages"
    assert len(title("RUN " + "x" * 200)) == 72
