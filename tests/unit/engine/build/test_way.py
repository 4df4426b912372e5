"""Which way RUN steps get GPUs."""

import json

import pytest

from gpudock.engine.base import Answer, Client
from gpudock.engine.build import buildah, way
from gpudock.engine.build.arguments import scan
from gpudock.engine.build.dockerfile import parse
from gpudock.engine.build.way import Facts, Way
from gpudock.engine.endpoint import Endpoint
from gpudock.engine.podman import CDI_FOLDERS
from gpudock.errors import EngineError, UsageError
from gpudock.proc import Result
from unit.engine.wishes import DOCKER, PODMAN, docker

MARKED = parse("FROM a\n# gpudock: gpu\nRUN b\n", "Dockerfile")
PLAIN = parse("FROM a\nRUN b\n", "Dockerfile")
LABS = parse("# syntax=docker/dockerfile:1-labs\nFROM a\nRUN b\n", "Dockerfile")
BUILDX = Facts(builder=way.Builder("docker-container", devices=True, entitled=True))
OWN = """Name:   default
Driver: docker

Nodes:
Name:             default
Endpoint:         default
Status:           running
BuildKit version: v0.25.2
Platforms:        linux/amd64
Devices:
 Name:                  nvidia.com/gpu=0
 Automatically allowed: false
 Name:                  nvidia.com/gpu=0.compute.utility
 Automatically allowed: false
GC Policy rule#0:
 All:            false
"""  # docker 28.5.2, buildx 0.29
BUILDAH = buildah.Buildah("/usr/bin/buildah", Endpoint("unix://"))
OLD = docker("20.10.24", cdi=False, runtimes=("runc", "gpudock"))


@pytest.mark.parametrize(
    ("client", "answer", "facts", "expected"),
    [
        (PODMAN, Answer("5.4.2", cdi=True), Facts(), way.DEVICE),
        (PODMAN, Answer("4.3.1", cdi=True), Facts(runtime="/r"), way.BY_RUNTIME),
        (PODMAN, Answer("5.4.2", cdi=True), Facts(runtime="/r"), way.BY_RUNTIME),
        (PODMAN, Answer("5.4.2", cdi=True, remote=True), Facts(runtime="/r"), way.DEVICE),
        (BUILDAH, Answer("1.28.2"), Facts(runtime="/r"), way.BY_RUNTIME),
        (BUILDAH, Answer("1.43.2", cdi=True), Facts(), way.DEVICE),
        (DOCKER, docker("28.0.1"), BUILDX, way.BUILDKIT),
        (DOCKER, docker("28.0.1"), BUILDX._replace(buildkit=False), None),
        (DOCKER, docker("28.5.2"), Facts(builder=way.builder(OWN)), None),
        (DOCKER, docker("28.5.2"), Facts(builder=way.builder(OWN.replace("false", "true"))), way.BUILDKIT),
        (DOCKER, docker("27.5.1"), BUILDX, None),
        (DOCKER, docker(), Facts(default_runtime="nvidia"), None),  # NVIDIA's leaves empty files in layers
        (DOCKER, OLD, Facts(default_runtime="gpudock"), way.BY_DEFAULT),
    ],
)
def test_by_what_the_engine_can_do(client: Client, answer: Answer, facts: Facts, expected: Way | None) -> None:
    assert way.choose(client, answer, facts) is expected


def test_what_a_builder_gives() -> None:
    """Docker's own lists the devices, and refuses every build that asks for one: no configuration allows them."""
    assert way.builder(OWN) == way.Builder("docker", devices=True)
    assert way.builder(OWN.replace("nvidia.com/gpu", "vendor.com/other")) == way.Builder("docker")
    flags = "BuildKit daemon flags: --allow-insecure-entitlement=network.host --allow-insecure-entitlement=device\n"
    other = OWN.replace("Driver: docker", "Driver: docker-container").replace("Platforms", flags + "Platforms")
    assert way.builder(other) == way.Builder("docker-container", devices=True, entitled=True)
    assert not way.builder(other.replace("=device", "=security.insecure")).gives
    assert way.builder("") == way.Builder()


def test_by_what_the_dockerfile_says() -> None:
    assert way.with_file(way.BUILDKIT, DOCKER, docker(), LABS) is way.BUILDKIT
    assert way.with_file(way.BUILDKIT, DOCKER, docker(), MARKED) is way.STEPS
    assert way.with_file(way.BY_DEFAULT, DOCKER, OLD, PLAIN) is way.BY_DEFAULT
    assert way.with_file(None, DOCKER, OLD, MARKED) is way.STEPS
    with pytest.raises(UsageError, match="marked") as caught:
        way.with_file(None, DOCKER, docker(), PLAIN)
    assert "# gpudock: gpu" in caught.value.mend
    with pytest.raises(EngineError, match="cannot give containers GPUs"):
        way.with_file(None, DOCKER, docker("20.10.24", cdi=False), MARKED)


def test_what_buildah_says() -> None:
    told = "buildah version 1.43.2 (image-spec 1.1.1, runtime-spec 1.2.1)\n"
    assert BUILDAH.understand(Result(0, told, "")) == Answer("1.43.2", cdi=True, cdi_folders=CDI_FOLDERS)
    assert not BUILDAH.understand(Result(0, told.replace("1.43", "1.28"), "")).cdi
    assert BUILDAH.understand(Result(1, "", "no\nuser namespaces\n")).problem == "user namespaces"
    assert buildah.build_words(BUILDAH, "/r") == ("buildah", "build", "--runtime", "/r")
    assert buildah.build_words(PODMAN, "/r") == ("podman", "--runtime", "/r", "build")
    image = {"OCIv1": {"config": {"User": "1"}, "rootfs": {"diff_ids": ["sha256:1"]}}}
    assert buildah.inspected(json.dumps(image)) == (["sha256:1"], {"User": "1"})


def test_podman_without_a_way() -> None:
    with pytest.raises(EngineError, match=r"Buildah .* needs gpudock's runtime"):
        way.choose(BUILDAH, Answer("1.28.2"), Facts())
    with pytest.raises(EngineError, match="needs gpudock's runtime"):
        way.choose(PODMAN, Answer("4.9.3", cdi=True), Facts())
    with pytest.raises(EngineError, match="another machine"):
        way.choose(PODMAN, Answer("4.9.3", cdi=True, remote=True), Facts(runtime="/r"))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (way.DEVICE, ("--output", "type=tar,dest=x")),
        (way.STEPS, ("--push",)),
        (way.STEPS, ("--pull",)),
        (way.DEVICE, ("--manifest", "m")),
        (way.STEPS, ("--platform=linux/amd64,linux/arm64",)),
        (way.BY_RUNTIME, ("--isolation", "chroot")),
    ],
)
def test_flags_that_do_not_go_with_gpus(found: Way, words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        way.refuse(scan(words), found)
    assert caught.value.mend


def test_other_flags_do() -> None:
    way.refuse(scan(("--pull", "-t", "a", "--platform", "linux/amd64", "--push=false", ".")), way.BY_DEFAULT)
