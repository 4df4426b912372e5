"""`gpudock build`: RUN steps that need the driver, on every engine, and no driver in any layer of the image."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from real.harness import docker_tree, engines, images, runtimes
from real.harness.engines import Engine
from real.harness.product import Product, product

pytestmark = pytest.mark.real

DRIVER = "580.159.04"
NAME = "localhost/gpudock-built"
NEEDS_CUDA = "/probe libcuda.so.1 libnvidia-ml.so.1 --nvml"


@pytest.fixture(scope="module")
def gpudock(session_root: Path) -> Iterator[Product]:
    with product(session_root) as made:
        yield made


@pytest.fixture(scope="module")
def docker20_runtime(gpudock: Product, session_root: Path) -> Iterator[Engine]:
    """Docker 20.10 that `gpudock configure docker` was run for."""
    with runtimes.docker(20, gpudock, session_root / "docker20-build") as made:
        yield made.engine


@pytest.fixture(scope="module")
def docker20_default(gpudock: Product, session_root: Path) -> Iterator[Engine]:
    with runtimes.docker(
        20, gpudock, session_root / "docker20-build-default", **{"default-runtime": "gpudock"}
    ) as made:
        yield made.engine


@pytest.fixture(params=("podman", "docker20_runtime", "docker28"))
def engine(request: pytest.FixtureRequest) -> Engine:
    made: Engine = request.getfixturevalue(request.param)
    return made


def build(
    gpudock: Product, engine: Engine, folder: Path, *flags: str, check: bool = True, name: str = ""
) -> CompletedProcess[str]:
    name = name or ("podman" if engine.name == "podman" else "docker")
    words = ("build", "--engine", name, "--network", "none", *flags, str(folder))
    return gpudock(*words, check=check, env=engine.env)


def has(engine: Engine, name: str = NAME) -> bool:
    return engine.run("image", "inspect", name, check=False).returncode == 0


def said(engine: Engine, script: str) -> str:
    """What a command in the built image says, without GPUs."""
    return engine.run("run", "--rm", "--network", "none", "--entrypoint", "/bin/sh", NAME, "-c", script).stdout


def config(engine: Engine, image: str) -> dict[str, object]:
    told = json.loads(engine.run("image", "inspect", "--format", "{{json .Config}}", image).stdout)
    of_a_container = ("Hostname", "AttachStdin", "AttachStdout", "AttachStderr", "Image", "Domainname")
    return {key: value for key, value in told.items() if value and key not in of_a_container}


def test_a_step_that_needs_cuda(gpudock: Product, engine: Engine, tmp_path: Path) -> None:
    reference = images.load(engine, "tiny")
    (tmp_path / "here").write_text("from the context\n")
    (tmp_path / "Dockerfile").write_text(
        f"FROM {reference}\nCOPY here /here\n# gpudock: gpu\nRUN {NEEDS_CUDA} > /built && ls /dev >> /built\n"
        'RUN cat /here >> /built\nCMD ["cat", "/built"]\n'
    )
    done = build(gpudock, engine, tmp_path, "-t", NAME, "--iidfile", str(tmp_path / "id"))
    assert "no file of the driver is in the image" in done.stderr
    assert (tmp_path / "id").read_text().startswith("sha256:")
    built = engine.run("run", "--rm", "--network", "none", NAME).stdout
    assert f"nvml.driver {DRIVER}" in built
    assert "libcuda.so.1 ok /usr/local/nvidia/lib64/libcuda.so.1" in built
    assert "nvidia1" in built
    assert built.endswith("from the context\n")
    left = said(
        engine, "find / -xdev -type f -name '*nvidia*'; find / -xdev -type f -name 'libcuda*'; ls /usr/local/nvidia"
    )
    assert left in {"/etc/ld.so.conf.d/00-gpudock.conf\n", ""}
    assert "NVIDIA_VISIBLE_DEVICES" not in json.dumps(config(engine, NAME))
    again = gpudock.run(engine, "--gpus", "1", NAME, "/probe", "libcuda.so.1") if engine.cdi_dirs else None
    assert again is None or "libcuda.so.1 ok" in again.stdout
    engine.run("rmi", NAME)


def test_buildah_builds_without_podman(gpudock: Product, podman: Engine, tmp_path: Path) -> None:
    """Podman, which has the same images, only looks at what was built."""
    reference = images.load(podman, "tiny")
    text = f"FROM {reference}\nRUN {NEEDS_CUDA} > /built\n"
    (tmp_path / "Containerfile").write_text(text)
    done = build(gpudock, podman, tmp_path, "-q", "-t", NAME, "--gpus", "device=1", name="buildah")
    assert "no file of the driver is in the image" in done.stderr
    built = said(podman, "cat /built")
    assert f"nvml.driver {DRIVER}" in built
    assert "nvml.count 1" in built
    assert said(podman, "find / -xdev -name '*libcuda*'") == ""
    podman.run("rmi", NAME)
    (tmp_path / "Containerfile").write_text(text + "RUN cp /usr/local/nvidia/lib64/libcuda.so.1 /kept\n")
    done = build(gpudock, podman, tmp_path, "-t", NAME, check=False, name="buildah")
    assert done.returncode == 5, done.stderr
    assert "/kept: " in done.stderr
    assert not has(podman)


@pytest.mark.parametrize(
    "bad",
    [
        "cp /usr/local/nvidia/lib64/libcuda.so.1 /opt-libcuda.so.1",
        "cp -L /usr/local/nvidia/lib64/libcuda.so.1 /renamed",
    ],
)
def test_a_driver_that_would_stay_is_refused_by_name(
    gpudock: Product, engine: Engine, tmp_path: Path, bad: str
) -> None:
    reference = images.load(engine, "tiny")
    (tmp_path / "Dockerfile").write_text(
        f"FROM {reference}\n# gpudock: gpu\nRUN {bad}\nRUN rm -f /opt-libcuda.so.1 /renamed\n"
    )
    done = build(gpudock, engine, tmp_path, "-t", NAME, "--iidfile", str(tmp_path / "id"), check=False)
    assert done.returncode == 5, done.stderr
    assert bad.rpartition(" ")[2] + ":" in done.stderr  # although a later layer covers it
    assert "mend:" in done.stderr
    assert not has(engine)
    assert not (tmp_path / "id").exists()


@pytest.mark.parametrize("engine", ["podman", "docker28"], indirect=True)
def test_stages_arguments_shell_and_user(gpudock: Product, engine: Engine, tmp_path: Path) -> None:
    reference = images.load(engine, "tiny")
    (tmp_path / "Dockerfile").write_text(
        f"""ARG BASE={reference}
ARG GLOBAL=global
FROM $BASE AS tool
ARG GLOBAL
ARG QUOTED="it's \\"a\\" \\$b"
ARG GIVEN=default
ARG UNSET
ENV OF_IMAGE=$GIVEN
WORKDIR /work
SHELL ["/bin/sh", "-eu", "-c"]
# gpudock: gpu
RUN {NEEDS_CUDA} > probe; \\
    # a comment between
    echo "$GLOBAL|$QUOTED|$GIVEN|${{UNSET-unset}}|$OF_IMAGE|$PWD" > args
ENV LATER=1
RUN echo "$QUOTED|$GIVEN" >> args; false || true; cat args
# gpudock: gpu

RUN /probe libcuda.so.1 >> /work/probe; ls /nowhere || true
FROM $BASE
LABEL keep="this one"
HEALTHCHECK CMD true
STOPSIGNAL SIGINT
EXPOSE 80
COPY --from=tool /work /work
USER 12
ENTRYPOINT ["/bin/echo"]
CMD ["hello"]
"""
    )
    done = build(gpudock, engine, tmp_path, "-q", "-t", NAME, "--build-arg", "GIVEN=given")
    assert said(engine, "cat /work/args") == 'global|it\'s "a" $b|given|unset|given|/work\nit\'s "a" $b|given\n'
    assert said(engine, "cat /work/probe").count("libcuda.so.1 ok") == 2
    assert len(done.stdout.split()) == 1  # --quiet: the id alone
    found = config(engine, NAME)
    assert found["Entrypoint"] == ["/bin/echo"]
    assert found["Cmd"] == ["hello"]
    assert found["User"] == "12"
    engine.run("rmi", NAME)


def test_parts_are_built_by_buildkit_where_it_is_switched_on(
    gpudock: Product, docker20_runtime: Engine, tmp_path: Path
) -> None:
    reference = images.load(docker20_runtime, "tiny")
    (tmp_path / "Dockerfile").write_text(
        f"FROM {reference} AS one\nRUN --mount=type=tmpfs,target=/t echo before > /built\n# gpudock: gpu\n"
        f"RUN {NEEDS_CUDA} >> /built\nRUN --mount=type=tmpfs,target=/t echo after >> /built\n"
        f"FROM {reference}\nCOPY --from=one /built /built\n"
    )
    engine = replace(docker20_runtime, env=docker20_runtime.env | {"DOCKER_BUILDKIT": "1"})
    build(gpudock, engine, tmp_path, "-t", NAME)
    built = said(engine, "cat /built").splitlines()
    assert (built[0], built[-1]) == ("before", "after")
    assert f"nvml.driver {DRIVER}" in built
    assert "gpudock-build" not in engine.run("images").stdout
    engine.run("rmi", NAME)


def test_a_buildkit_that_allows_no_device_is_not_asked_for_one(
    gpudock: Product, docker28: Engine, tmp_path: Path
) -> None:
    """Docker's own lists CDI devices and refuses them to every build, so marked steps run in containers, labs or not."""
    reference = images.load(docker28, "tiny")
    marked = f"FROM {reference}\nRUN --mount=type=tmpfs,target=/t echo before > /built\n# gpudock: gpu\nRUN {NEEDS_CUDA} >> /built\n"
    with engines.with_plugin(docker28, docker_tree.BUILDX) as engine:
        assert "nvidia.com/gpu=all.compute.utility" in engine.run("buildx", "inspect").stdout
        (tmp_path / "Dockerfile").write_text(marked)
        done = build(gpudock, engine, tmp_path, "-t", NAME)
        assert "building with" in done.stderr  # BuildKit
        assert f"nvml.driver {DRIVER}" in said(engine, "cat /built")
        engine.run("rmi", NAME)
        (tmp_path / "Dockerfile").write_text("# syntax=docker/dockerfile:1-labs\n" + marked)
        told = build(gpudock, engine, tmp_path, "--dry-run")
        assert "the marked RUN steps run in containers" in told.stderr
        if engine.version.startswith("28."):  # 29 looks for that syntax first, in a registry
            refused = engine.run("build", "--allow", "device=nvidia.com/gpu=all", str(tmp_path), check=False)
            assert "device is not allowed by build daemon configuration" in refused.stderr


def test_settings_are_those_of_the_engines_own_build(gpudock: Product, docker28: Engine, tmp_path: Path) -> None:
    reference = images.load(docker28, "tiny", env={"NVIDIA_VISIBLE_DEVICES": "all"})
    text = (
        f'FROM {reference}\nENV A="b c"\nWORKDIR /w\nSHELL ["/bin/sh", "-e", "-c"]\nENTRYPOINT ["/bin/echo"]\nCMD ["x y"]\n'
        "USER 12:13\nVOLUME /data\nEXPOSE 80\nLABEL l=m\nSTOPSIGNAL SIGINT\nHEALTHCHECK CMD true\n# gpudock: gpu\nRUN id -u; ls /\n"
    )
    (tmp_path / "Dockerfile").write_text(text)
    build(gpudock, docker28, tmp_path, "-t", NAME)
    subprocess.run(
        [*docker28.argv, "build", "-q", "--network", "none", "-t", NAME + ":plain", str(tmp_path)],
        env=docker28.env,
        check=True,
        capture_output=True,
    )
    assert config(docker28, NAME) == config(docker28, NAME + ":plain")
    docker28.run("rmi", NAME, NAME + ":plain")


def test_the_exit_code_of_a_step_and_nothing_left(gpudock: Product, engine: Engine, tmp_path: Path) -> None:
    reference = images.load(engine, "tiny")
    (tmp_path / "Dockerfile").write_text(f"FROM {reference}\n# gpudock: gpu\nRUN exit 7\n")
    done = build(gpudock, engine, tmp_path, "-t", NAME, check=False)
    assert done.returncode == 7 or engine.name == "podman"
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert not has(engine)
    assert engine.run("ps", "--all", "--quiet").stdout == ""
    assert "gpudock-build" not in engine.run("images").stdout


def test_the_default_runtime_gives_gpus_to_every_step(
    gpudock: Product, docker20_default: Engine, tmp_path: Path
) -> None:
    reference = images.load(docker20_default, "tiny")
    (tmp_path / "Dockerfile").write_text(f"FROM {reference}\nRUN {NEEDS_CUDA} > /built\nRUN ls /dev >> /built\n")
    done = build(gpudock, docker20_default, tmp_path, "-t", NAME, "--gpus", "device=1")
    assert "default runtime" in done.stderr
    built = said(docker20_default, "cat /built")
    assert "nvml.count 1" in built
    assert "nvidia1" in built
    assert "nvidia0" not in built
    docker20_default.run("rmi", NAME)


def test_without_a_mark_or_a_way_it_is_one_clear_error(
    gpudock: Product, docker20: Engine, docker28: Engine, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nRUN true\n")
    unmarked = build(gpudock, docker28, tmp_path, check=False)
    assert unmarked.returncode == 2
    assert "# gpudock: gpu" in unmarked.stderr
    (tmp_path / "Dockerfile").write_text("FROM scratch\n# gpudock: gpu\nRUN true\n")
    nothing = build(gpudock, docker20, tmp_path, check=False)
    assert nothing.returncode == 6
    assert "mend:" in nothing.stderr


def test_dry_run_says_how_and_builds_nothing(
    gpudock: Product, podman: Engine, docker28: Engine, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n# gpudock: gpu\nRUN true\n")
    done = build(gpudock, podman, tmp_path, "--dry-run", "-t", NAME)
    assert done.stdout.startswith("podman --runtime /")
    assert "ARG NVIDIA_VISIBLE_DEVICES=all\n" in done.stdout
    done = build(gpudock, docker28, tmp_path, "--dry-run", "-t", NAME)
    assert "line 3: docker run --device nvidia.com/gpu=all.compute.utility" in done.stdout
    assert not has(podman)
    assert not has(docker28)
    (tmp_path / "Dockerfile").write_text("FROM nowhere\n# gpudock: gpu\nRUN --network=none true\n")
    refused = build(gpudock, docker28, tmp_path, "-t", NAME, check=False)  # before docker looks for the base
    assert refused.returncode == 5
    assert "line 3: this RUN step cannot be given GPUs" in refused.stderr
    assert "Step 1" not in refused.stderr
