"""`gpudock compose`: what is passed on, what is made, and what is refused."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpudock.compat.compose import project
from gpudock.errors import EngineError, GpudockError, InputError, RefusedError, UsageError
from gpudock.proc import Result
from unit.compat.compose.conftest import Make
from unit.compat.compose.sessions import Lab, gpus_of, info, reserved, services

GPU = "services:\n  job:\n    image: x\n    gpus: 1\n"
PLAIN = "services:\n  web:\n    image: nginx\n"


def with_image(lab: Lab, **environment: str) -> None:
    config = json.dumps({"Env": [f"{name}={value}" for name, value in environment.items()], "Labels": None})
    lab.recorder.answers = {**lab.recorder.answers, ("docker", "image"): config}


def test_files_without_gpus_are_passed_on_and_nobody_is_asked(lab: Lab) -> None:
    lab.write(docker_compose_yml=PLAIN)
    start = lab.compose("--ansi", "never", "-f", "docker-compose.yml", "up", "-d")
    assert start.argv == ("docker-compose", "--ansi", "never", "-f", "docker-compose.yml", "up", "-d")
    assert not start.texts
    assert not lab.recorder.asked


@pytest.mark.parametrize("words", [(), ("version",), ("help", "up"), ("ls",)])
def test_what_needs_no_file(lab: Lab, words: tuple[str, ...]) -> None:
    assert lab.compose(*words).argv == ("docker-compose", *words)


@pytest.mark.parametrize("words", [("logs", "-f", "job"), ("exec", "-t", "job", "sh"), ("down", "-v"), ("ps",)])
def test_what_starts_nothing_asks_nobody(lab: Lab, words: tuple[str, ...]) -> None:
    lab.write(docker_compose_yml=GPU.replace("gpus: 1", "gpus: device=9"))
    start = lab.compose(*words)
    assert start.argv[-len(words) :] == words
    assert services(start) == {"job": {"image": "x"}}
    assert not lab.recorder.asked


def test_an_unknown_gpu_is_refused_where_it_is_written(lab: Lab) -> None:
    lab.write(docker_compose_yml=GPU.replace("gpus: 1", "gpus: device=9"))
    with pytest.raises(RefusedError) as caught:
        lab.compose("up")
    assert caught.value.what.startswith(f"{lab.folder}/docker-compose.yml:4: service job: gpus asks for 9")
    assert "NVIDIA H200" in caught.value.why


@pytest.mark.parametrize(
    ("asks", "says"),
    [
        ("gpus: maybe", "service job: 'maybe'"),
        ("gpus: [{driver: amd}]", "the driver amd is not NVIDIA's"),
        ("gpus: [{count: 1, device_ids: ['0']}]", "certain ones at once"),
        ("gpus: all\n    x-gpudock: {cores: 5}", "x-gpudock does not know cores"),
        ("x-gpudock: {count: 1, devices: ['0']}", "says count and devices"),
        ("x-gpudock: {capabilities: [fly]}", "Unknown driver capability: fly"),
        ("x-gpudock: {mig: 1g.18gb}", "asks for 1 MIG devices of profile 1g.18gb, this machine has 0"),
        ("deploy: {resources: {reservations: {devices: [{driver: nvidia, count: x}]}}}", "is no number of GPUs"),
        ("gpus: ${NONE:?which}", "The variable NONE is not set"),
        ("extends: nobody", "service job extends nobody, which"),
        ("extends: job", "service job extends itself"),
        ("extends: {file: gone.yml, service: x}", "extends gone.yml, which is not there"),
        ("runtime: nvidia\n    environment: [NVIDIA_VISIBLE_DEVICES=7]", "NVIDIA_VISIBLE_DEVICES asks for 7"),
        ("devices: [/dev/nvidia5]", "/dev/nvidia5 is no GPU of this machine"),
    ],
)
def test_bad_requests_name_file_line_and_service(lab: Lab, asks: str, says: str) -> None:
    lab.write(docker_compose_yml=f"services:\n  job:\n    image: x\n    {asks}\n")
    with pytest.raises(GpudockError) as caught:
        lab.compose("up")
    text = f"{caught.value.what} {caught.value.why}"
    assert says.replace("'maybe'", "") in text
    assert "docker-compose.yml:" in caught.value.what
    assert "service job" in caught.value.what


def test_mig_devices_of_a_profile(make_lab: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from unit.cdi import specs

    whole = specs.plan
    monkeypatch.setattr(specs, "plan", lambda gpus: whole(gpus, {1: 3}))
    lab = make_lab("runtime")
    lab.write(docker_compose_yml="services:\n  job:\n    image: x\n    x-gpudock: {mig: 1g.18gb, count: 2}\n")
    body = services(lab.compose("up"))["job"]
    expected = [each["uuid"] for each in lab.plan["gpus"][1]["instances"][:2]]
    assert body["environment"]["NVIDIA_VISIBLE_DEVICES"].split(",") == expected


def test_what_the_image_says_counts(lab: Lab) -> None:
    lab.write(docker_compose_yml=GPU)
    with_image(lab, NVIDIA_DRIVER_CAPABILITIES="utility")
    assert reserved(services(lab.compose("up"))["job"])[0]["device_ids"] == ["nvidia.com/gpu=0.utility"]
    with_image(lab, NVIDIA_REQUIRE_CUDA="cuda>=99.0")
    with pytest.raises(RefusedError, match="service job"):
        lab.compose("up")


def test_the_default_is_for_those_that_say_nothing(lab: Lab) -> None:
    lab.write(docker_compose_yml=GPU + "  web: {image: nginx}\n  none: {image: y, enable_cuda: false}\n")
    found = services(lab.compose("--gpus", "all", "up"))
    assert {name: gpus_of(body) for name, body in found.items()} == {"job": [0], "web": [0, 1], "none": []}


def test_standard_input(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(GPU.encode())))
    start = lab.compose("-f", "-", "up")
    assert gpus_of(services(start)["job"]) == [0]
    assert start.argv[1:3] == ("--project-directory", str(lab.folder))


def test_the_file_of_a_folder_above_and_its_env_file(lab: Lab) -> None:
    lab.write(docker_compose_yml=GPU.replace("gpus: 1", "gpus: ${WHICH}"))
    (lab.folder / ".env").write_text("WHICH=device=1\n")
    (lab.folder / "deep/down").mkdir(parents=True)
    session = lab.session()._replace(folder=str(lab.folder / "deep/down"))
    lab.patch.setattr(lab, "session", lambda: session)
    start = lab.compose("up")
    assert gpus_of(services(start)["job"]) == [1]
    assert start.argv[2] == str(lab.folder)


def test_compose_file_and_the_callers_variables(lab: Lab) -> None:
    (lab.folder / "a.yml").write_text(GPU)
    (lab.folder / "b.yml").write_text("services:\n  job:\n    gpus: ${WHICH:-all}\n")
    lab.environment |= {"COMPOSE_FILE": "a.yml:b.yml", "WHICH": "device=1"}
    assert gpus_of(services(lab.compose("up"))["job"]) == [1]


def test_an_env_file_that_was_named(lab: Lab) -> None:
    lab.write(docker_compose_yml=GPU.replace("gpus: 1", "gpus: ${WHICH}"))
    (lab.folder / "lab.env").write_text("WHICH=all\n")
    start = lab.compose("--env-file", "lab.env", "up")
    assert gpus_of(services(start)["job"]) == [0, 1]
    assert start.argv[-3:] == ("--env-file", "lab.env", "up")
    with pytest.raises(InputError, match=r"none\.env"):
        lab.compose("--env-file", "none.env", "up")


def test_included_files_are_made_too(lab: Lab) -> None:
    lab.write(compose_yaml="include:\n  - sub/gpu.yml   # theirs\nservices:\n  web: {image: nginx}\n")
    (lab.folder / "sub").mkdir()
    (lab.folder / "sub/gpu.yml").write_text("services:\n  job:\n    build: .\n    gpus: device=1\n")
    start = lab.compose("up")
    (main,) = [path for path in start.texts if path.endswith(("compose.yaml", "docker-compose.yml"))]
    (entry,) = yaml.safe_load(start.texts[main])["include"]
    assert entry["project_directory"] == f"{lab.folder}/sub"
    job = yaml.safe_load(start.texts[entry["path"][0]])["services"]["job"]
    assert (job["build"], gpus_of(job)) == (".", [1])


def test_extended_files_keep_their_paths(lab: Lab) -> None:
    lab.case("extends-file")
    start = lab.compose("up")
    extends = services(start)["web"]["extends"]
    common = f"{lab.folder}/common"
    base = yaml.safe_load(start.texts[extends["file"]])["services"]["gpu"]
    assert (base["build"], base["env_file"]) == (f"{common}/image", f"{common}/base.env")
    assert base["volumes"] == [f"{common}/data:/data", "named:/named"]
    assert "gpus" not in base
    assert gpus_of(services(start)["web"]) == [0]


@pytest.mark.parametrize(
    ("programs", "there", "begins"),
    [
        (("docker", "docker-compose"), "/usr/libexec/docker/cli-plugins/docker-compose", ("docker", "compose")),
        (("docker", "docker-compose"), "/nothing", ("docker-compose", "--project-directory")),
    ],
)
def test_dockers_plugin_comes_first(
    make_lab: Make, programs: tuple[str, ...], there: str, begins: tuple[str, ...]
) -> None:
    lab = make_lab("cdi", programs)
    lab.there.add(there)
    lab.write(docker_compose_yml=GPU)
    assert lab.compose("up").argv[:2] == begins


def test_docker_elsewhere_is_named_to_docker_compose(lab: Lab) -> None:
    lab.write(docker_compose_yml=PLAIN)
    start = lab.compose("-H", "ssh://lab", "up")
    assert start.argv == ("docker-compose", "up")
    assert start.environment == {"DOCKER_HOST": "ssh://lab"}


def test_podman_compose_gets_everything_by_its_whole_path(make_lab: Make) -> None:
    lab = make_lab("podman")
    lab.write(docker_compose_yml=GPU + "    volumes: ['./data:/data']\n    build: {context: .}\n")
    (lab.folder / ".env").write_text("A=1\n")
    start = lab.compose("up", "-d")
    assert start.argv[:3] == ("podman-compose", "-p", "project")
    job = services(start)["job"]
    assert job["devices"] == ["nvidia.com/gpu=0"] or job["devices"] == ["nvidia.com/gpu=0.compute.utility"]
    assert job["volumes"] == [f"{lab.folder}/data:/data"]
    assert job["build"] == {"context": str(lab.folder)}
    assert start.environment == {"A": "1"}


def test_podman_that_forgets_devices_is_refused(make_lab: Make) -> None:
    lab = make_lab("podman", ("podman", "docker-compose"))
    lab.there = {"/run/podman/podman.sock"}
    lab.write(docker_compose_yml=GPU)
    with pytest.raises(EngineError, match="forgets GPUs"):
        lab.compose("up")
    start = lab.compose("--style", "cdi", "up")
    assert start.environment == {"DOCKER_HOST": "unix:///run/podman/podman.sock"}


def test_no_compose_program(make_lab: Make) -> None:
    lab = make_lab("cdi", ("docker",))
    lab.write(docker_compose_yml=GPU)
    with pytest.raises(EngineError, match="no compose program for docker"):
        lab.compose("up")


def test_styles_that_the_engine_lacks(make_lab: Make) -> None:
    lab = make_lab("bare")
    lab.write(docker_compose_yml=GPU)
    for style in ("", "cdi", "runtime"):
        with pytest.raises(EngineError):
            lab.compose(*(("--style", style) if style else ()), "up")
    with pytest.raises(UsageError, match="--style magic"):
        lab.compose("--style", "magic", "up")
    lab.recorder.answers = {
        ("docker", "info", "--format", "{{json .}}"): info(cdi=False),
        ("docker", "info"): '["local","nvidia-docker"]',
        ("docker", "volume"): "[]",
        ("docker", "image"): Result(1, "", "No such image"),
    }
    assert "/dev/nvidia0" in services(lab.compose("up"))["job"]["devices"]


def bare_with_plugin(make_lab: Make, environment: tuple[str, ...] = ()) -> Lab:
    """A Docker without CDI and runtime, with nvidia-docker 1's plugin, and no volume yet."""
    lab = make_lab("bare")
    lab.write(docker_compose_yml=GPU)
    lab.recorder.answers = {
        ("docker", "info", "--format", "{{json .}}"): info(cdi=False),
        ("docker", "info"): '["local","nvidia-docker"]',
        ("docker", "volume", "inspect"): Result(1, "", "no such volume"),
        ("docker", "volume", "create"): "nvidia_driver_1",
        ("docker", "image"): json.dumps({"Env": environment, "Labels": None}),
    }
    return lab


@pytest.mark.parametrize(
    ("words", "made"), [(("up",), 1), (("config",), 0), (("--dry-run", "up"), 0), (("--check",), 0), (("-G",), 0)]
)
def test_only_what_starts_containers_makes_the_volume(make_lab: Make, words: tuple[str, ...], made: int) -> None:
    lab = bare_with_plugin(make_lab)
    lab.compose(*words)
    assert [each.argv[1:3] for each in lab.recorder.asked].count(("volume", "create")) == made


@pytest.mark.parametrize(
    ("variable", "said"), [("LD_LIBRARY_PATH=/usr/local/nvidia/lib64", False), ("LD_LIBRARY_PATH=/opt/lib", True)]
)
def test_an_image_that_does_not_look_into_the_volume_is_told_of(make_lab: Make, variable: str, said: bool) -> None:
    start = bare_with_plugin(make_lab, (variable,)).compose("up")
    expected = "service job: its image does not look for the driver where the volume is; give it the variable "
    expected += "LD_LIBRARY_PATH=/usr/local/nvidia/lib64:/usr/local/nvidia/lib"
    assert (expected in start.notes) == said


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("    gpus: 1.5\n", "docker-compose.yml:4: service job: 1.5 in gpus is not a number"),
        ("    x-gpudock: {count: -2}\n", "service job: count -2 is no number"),
        ("    runtime: nvidia\n    environment: [NVIDIA_VISIBLE_DEVICES=first]\n", "service job: first in"),
        ("    devices: ['nvidia.com/gpu=']\n", "service job: nvidia.com/gpu= names no device"),
        ("  1: {image: x}\n", "docker-compose.yml:4: 1 is no name of a service"),
    ],
)
def test_a_mistake_in_a_file_is_no_mistake_in_the_command(lab: Lab, text: str, what: str) -> None:
    lab.write(docker_compose_yml="services:\n  job:\n    image: x\n" + text)
    with pytest.raises(InputError) as caught:
        lab.compose("--check")
    assert what in caught.value.what


def test_a_default_that_cannot_be_is_a_mistake_in_the_command(lab: Lab) -> None:
    lab.write(docker_compose_yml=PLAIN)
    with pytest.raises(UsageError):
        lab.compose("--gpus", "1.5", "up")


def test_check_explains_and_writes_nothing(lab: Lab) -> None:
    text = GPU + "  two: {image: y, gpus: 1}\n  web: {image: z, environment: [NVIDIA_VISIBLE_DEVICES=all]}\n"
    lab.write(docker_compose_yml=text + "  bad: {image: z, gpus: device=9}\n")
    start = lab.compose("--check")
    assert not start.argv
    assert not start.texts
    assert start.code == 5
    lines = start.output.splitlines()
    assert lines[0] == "docker 28.0.0, started by docker-compose: CDI devices, reserved with the driver cdi"
    assert lines[1].startswith(f"  job  gpus at {lab.folder}/docker-compose.yml:4: 1 GPU (GPU-")
    assert lines[3] == "  web  no GPU"
    assert "cannot be served" in lines[4]
    notes = "\n".join(start.notes)
    assert "service bad: gpus asks for 9" in notes
    assert "service web sets NVIDIA_VISIBLE_DEVICES=all but asks for no GPU" in notes
    assert "goes to job, two" in notes


def test_check_warns_of_old_programs(lab: Lab) -> None:
    lab.write(docker_compose_yml=GPU + "    ports: !override ['80:80']\n    develop: {}\n")
    lab.recorder.answers = {**lab.recorder.answers, ("docker-compose", "version"): "1.25.0\n"}
    notes = "\n".join(lab.compose("--check").notes)
    assert "docker-compose 1.25.0 knows no device reservations" in notes
    assert "uses develop, which only docker compose 2 knows" in notes
    assert "uses !reset or !override" in notes


def test_warnings_are_said_before_services_start(lab: Lab) -> None:
    lab.write(docker_compose_yml=GPU + "    privileged: true\n    environment: {CUDA_VISIBLE_DEVICES: '3'}\n")
    notes = "\n".join(lab.compose("up").notes)
    assert "service job: --privileged gives the container every device" in notes
    assert "service job: CUDA_VISIBLE_DEVICES=3 hides GPUs" in notes


def test_generate(lab: Lab) -> None:
    lab.write(docker_compose_yml=GPU)
    shown = lab.compose("-G")
    assert not shown.argv
    assert gpus_of(yaml.safe_load(shown.document)["services"]["job"]) == [0]
    written = lab.compose("-G", "-o", "out.yml")
    assert [*written.texts] == [f"{lab.folder}/out.yml"]


@pytest.mark.parametrize("name", ["ev\\e[31mil", "a\\n  mend: run this", "$(id)", "../x", "a b"])
def test_names_that_no_compose_program_takes(lab: Lab, name: str) -> None:
    lab.write(docker_compose_yml=f'services:\n  "{name}":\n    image: x\n    gpus: 1\n')
    with pytest.raises(InputError, match="is no name of a service") as caught:
        lab.compose("up")
    assert caught.value.what.isprintable()


def test_a_hostile_image_is_quoted_in_what_to_run(lab: Lab) -> None:
    lab.recorder.answers = {**lab.recorder.answers, ("docker", "image"): Result(1, "", "no daemon")}
    lab.write(docker_compose_yml=GPU.replace("image: x", 'image: "x;touch /tmp/y"'))
    with pytest.raises(GpudockError) as caught:
        lab.compose("up")
    assert caught.value.mend.endswith("docker image inspect -- 'x;touch /tmp/y'")


def test_a_template(lab: Lab) -> None:
    (lab.folder / "t.yml").write_text(
        "services:\n{% for gpu in GPU_DEVICES %}\n  job{{ loop.index0 }}:\n    image: x\n    devices: ['{{ gpu }}']\n{% endfor %}\n"
    )
    found = services(lab.compose("-t", "t.yml", "up"))
    assert {name: gpus_of(body) for name, body in found.items()} == {"job0": [0], "job1": [1]}


def test_the_same_project_is_made_at_the_same_place(lab: Lab) -> None:
    lab.write(docker_compose_yml=GPU)
    first, second = lab.compose("up"), lab.compose("up")
    assert first == second
    assert all(Path(path).parent.parent.name == "gpudock-compose" for path in first.texts)


def test_a_runtime_that_the_engine_has_is_left_alone(make_lab: Make) -> None:
    lab = make_lab("runtime")
    text = 'version: "2.4"\nservices:\n  job:\n    image: x\n    runtime: gpudock\n    environment: [NVIDIA_VISIBLE_DEVICES=1]\n'
    lab.write(docker_compose_yml=text)
    start = lab.compose("up")
    assert start.argv == ("docker-compose", "up")
    assert not start.texts


def test_no_file(lab: Lab) -> None:
    with pytest.raises(project.NoFileError):
        lab.compose("up")
    with pytest.raises(project.NoFileError, match=r"none\.yml"):
        lab.compose("-f", "none.yml", "up")


def test_every_way_to_say_the_same(lab: Lab) -> None:
    asks: dict[str, Any] = {
        "a": {"gpus": True},
        "b": {"gpus": -1},
        "c": {"gpus": [{"count": "all"}]},
        "d": {"gpus": {"device_ids": ["0", "1"]}},
        "e": {"x-gpudock": {}},
        "f": {"x-gpudock": {"gpus": '"device=0,1"'}},
        "g": {"enable_cuda": True},
        "h": {"deploy": {"resources": {"reservations": {"devices": [{"capabilities": ["nvidia", "gpu"]}]}}}},
    }
    lab.write(
        docker_compose_yml=yaml.safe_dump({"services": {name: {"image": "x", **body} for name, body in asks.items()}})
    )
    assert {name: gpus_of(body) for name, body in services(lab.compose("up")).items()} == {
        name: [0, 1] for name in asks
    }
