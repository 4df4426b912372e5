"""Every form in which /proc/PID/cgroup names a container, pod, job or user."""

import pytest

from gpudock.monitor.cgroup import Place, folder, place, together

A, B = "a1" * 32, "b2" * 32
POD = "0b5d3c7e-1234-4abc-9def-0123456789ab"
UNDER = POD.replace("-", "_")

FORMS = {
    "docker, v1": (f"12:memory:/docker/{A}\n11:cpu,cpuacct:/docker/{A}\n", (A,), "docker"),
    "docker, v2, cgroupfs": (f"0::/docker/{A}\n", (A,), "docker"),
    "docker, v2, systemd": (f"0::/system.slice/docker-{A}.scope\n", (A,), "docker"),
    "docker, child cgroup": (f"0::/system.slice/docker-{A}.scope/init\n", (A,), "docker"),
    "podman, systemd": (f"0::/machine.slice/libpod-{A}.scope/container\n", (A,), "podman"),
    "podman, systemd, without child": (f"0::/machine.slice/libpod-{A}.scope\n", (A,), "podman"),
    "podman, cgroupfs": (f"0::/libpod_parent/libpod-{A}\n", (A,), "podman"),
    "podman, cgroupfs, in a pod": (f"0::/libpod_parent/{B}/libpod-{A}\n", (A,), "podman"),
    "named like a pod of podman by who is in the container": (
        f"0::/docker/{A}/libpod_parent/{B}/libpod-{B}\n", (B, A), "docker"
    ),
    "named like podman's by who is in the container": (f"0::/lab/{A}/libpod-{B}\n", (B, A), ""),
    "podman, crun's payload": (f"0::/machine.slice/libpod-payload-{A}.scope\n", (A,), "podman"),
    "containerd cri": (f"0::/kubepods.slice/kubepods-pod{UNDER}.slice/cri-containerd-{A}.scope\n", (A,), "cri"),
    "containerd cri, v1": (f"4:memory:/kubepods/burstable/pod{POD}/{A}\n", (A,), "cri"),
    "containerd cri, colon": (f"0::/system.slice/containerd.service/kubepods-pod{UNDER}.slice:cri-containerd:{A}\n", (A,), "cri"),
    "cri-o": (f"0::/kubepods.slice/kubepods-pod{UNDER}.slice/crio-{A}.scope\n", (A,), "cri"),
    "own parent": (f"0::/lab/gpu/{A}\n", (A,), ""),
    "other namespace": (f"0::/../{A}\n", (A,), ""),
    "docker in docker": (f"0::/docker/{A}/docker/{B}\n", (B, A), "docker"),
    "docker in podman": (f"0::/machine.slice/libpod-{A}.scope/container/docker/{B}\n", (B, A), "podman"),
    "hybrid": (f"5:cpu:/\n4:memory:/docker/{A}\n0::/\n", (A,), "docker"),
    "deleted": (f"0::/docker/{A} (deleted)\n", (A,), "docker"),
    "none": ("0::/user.slice/user-1000.slice/session-3.scope\n", (), ""),
    "empty": ("", (), ""),
    "short id": ("0::/docker/a1b2c3\n", (), ""),
    "capital letters": (f"0::/docker/{A.upper()}\n", (), ""),
    "longer": (f"0::/docker/{A}0\n", (), ""),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_ids(form: str) -> None:
    text, ids, engine = FORMS[form]
    found = place(text)
    assert (found.ids, found.engine) == (ids, engine)


@pytest.mark.parametrize(
    "text",
    [
        f"0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UNDER}.slice/cri-containerd-{A}.scope\n",
        f"3:devices:/kubepods/besteffort/pod{POD}/{A}\n",
        f"0::/kubepods/pod{POD}/{A}\n",
        f"0::/../../../burstable/pod{POD}/{A}\n",
        f"0::/../../../besteffort/pod{POD}/{A}\n",
        f"0::/../../pod{POD}/{A}\n",
        f"0::/mykube/kubepods/pod{POD}/{A}\n",
        f"0::/mykube/kubepods/besteffort/pod{POD}/{A}/init\n",
        f"0::/k8s.slice/k8s-kubepods.slice/k8s-kubepods-pod{UNDER}.slice/cri-containerd-{A}.scope\n",
        f"0::/a.slice/a-b.slice/a-b-kubepods.slice/a-b-kubepods-pod{UNDER}.slice/crio-{A}.scope/container\n",
        f"0::/../../k8s-kubepods-pod{UNDER}.slice/cri-containerd-{A}.scope\n",
    ],
)
def test_pods(text: str) -> None:
    found = place(text)
    assert (found.pod, found.ids, found.engine) == (POD, (A,), "cri")


def test_a_pod_of_the_node_itself_has_a_uid_without_dashes() -> None:
    uid = "0123456789abcdef0123456789abcdef"
    assert place(f"0::/kubepods/burstable/pod{uid}/{A}\n").pod == uid


@pytest.mark.parametrize(
    ("text", "job", "uid"),
    [
        ("9:memory:/slurm/uid_1000/job_4242/step_0/task_0\n", "4242", 1000),
        ("9:memory:/slurm_node7/uid_1000/job_4242/step_batch\n", "4242", 1000),
        ("0::/system.slice/slurmstepd.scope/job_77/step_0/user/task_0\n", "77", None),
        ("0::/system.slice/node7_slurmstepd.scope/job_77/step_extern\n", "77", None),
        ("0::/home/job_77\n", "", None),
    ],
)
def test_jobs(text: str, job: str, uid: int | None) -> None:
    found = place(text)
    assert (found.job, found.job_uid) == (job, uid)


@pytest.mark.parametrize(
    ("text", "uid", "engine"),
    [
        (f"0::/user.slice/user-1000.slice/user@1000.service/user.slice/docker-{A}.scope\n", 1000, "docker"),
        (f"0::/user.slice/user-1001.slice/user@1001.service/user.slice/libpod-{A}.scope/container\n", 1001, "podman"),
        ("0::/user.slice/user-1002.slice/session-3.scope\n", 1002, ""),
        (f"0::/system.slice/docker-{A}.scope\n", None, "docker"),
        ("0::/user.slice/user-x.slice\n", None, ""),
    ],
)
def test_users(text: str, uid: int | None, engine: str) -> None:
    found = place(text)
    assert (found.uid, found.engine, found.own) == (uid, engine, "user@" in text and "session" not in text)


MANAGER = "/user.slice/user-1000.slice/user@1000.service"


@pytest.mark.parametrize(
    "below",
    [
        f"/user.slice/user-1001.slice/docker-{A}.scope",
        f"/user.slice/user-1001.slice/user@1001.service/docker-{A}.scope",
        "/slurm/uid_1001/job_7",
        "/system.slice/slurmstepd.scope/job_7",
        f"/kubepods/burstable/pod{POD}",
        f"/kubepods.slice/kubepods-pod{UNDER}.slice/cri-containerd-{A}.scope",
        f"/mykube/kubepods/pod{POD}/{A}",
        f"/burstable/pod{POD}/{A}",
        f"/k8s.slice/k8s-kubepods.slice/k8s-kubepods-pod{UNDER}.slice/crio-{A}.scope",
    ],
)
@pytest.mark.parametrize(
    ("above", "uid"),
    [
        (MANAGER, 1000),
        (f"{MANAGER}/x\x0b9:memory:", 1000),  # no new line for the kernel
        (f"{MANAGER}/x\x1c9:memory:", 1000),
        (f"{MANAGER}/x\u20289:memory:", 1000),
        (f"/system.slice/docker-{B}.scope", None),  # with systemd in the container
        (f"/machine.slice/libpod-{B}.scope/container", None),
        ("/lxc.payload.web", None),
        ("/lxc.payload.web.slice", None),
        ("/lxc/web", None),
        ("/machine.slice/machine-web.scope/payload", None),
        ("/system.slice/slurmstepd.scope/job_x/step_0", None),
    ],
)
def test_what_a_user_or_a_container_made_is_of_nobody_else(above: str, below: str, uid: int | None) -> None:
    found = place(f"0::{above}{below}\n")
    assert (found.uid, found.own) == (uid, uid is not None)
    assert (found.job, found.job_uid, found.pod) == ("", None, "")


def test_a_user_is_the_same_seen_from_another_namespace() -> None:
    found = place(f"0::/../..{MANAGER}/user.slice/docker-{A}.scope\n")
    assert (found.uid, found.own) == (1000, True)
    assert place("0::/../user.slice/user-1000.slice/user@1001.service\n").own is False


@pytest.mark.parametrize("inside", ["cri-containerd-", "kubepods/libpod-", "/"])
def test_who_is_in_a_container_does_not_choose_the_engine_that_is_asked_about_it(inside: str) -> None:
    found = place(f"0::/docker/{A}/{inside}{B}\n")
    assert (found.ids, found.engine) == ((B, A), "docker")


def test_a_cgroup_elsewhere_with_a_containers_name_is_not_its() -> None:
    own = place(f"4:memory:/docker/{A}\n0::/\n")
    assert together(place(f"4:memory:/docker/{A}/init\n0::/\n"), own, A)
    for other in (
        f"4:memory:/lxc/docker/{A}\n0::/\n",
        f"5:cpu:/docker/{A}\n",
        f"4:memory:/docker/{B}/docker/{A}\n",
        "0::/\n",
    ):
        assert not together(place(other), own, A)
    assert not together(place(""), place(""), A)


def test_the_containers_own_cgroup_is_above_that_of_its_processes() -> None:
    assert folder(f"/machine.slice/libpod-{A}.scope/container", A) == f"/machine.slice/libpod-{A}.scope"
    assert folder(f"/docker/{A}/docker/{B}", A) == f"/docker/{A}"
    assert folder("/elsewhere", A) == "/elsewhere"


def test_paths_by_controller() -> None:
    found = dict(place(f"5:cpu,cpuacct:/docker/{A}\n1:name=systemd:/x\n0::/\n").paths)
    assert found == {"cpu": f"/docker/{A}", "cpuacct": f"/docker/{A}", "systemd": "/x", "": "/"}


def test_a_path_full_of_ids_is_cut_where_the_containers_made_it_longer() -> None:
    assert place("0::" + "".join(f"/{index:064x}" for index in range(50)) + "\n").ids == tuple(
        f"{index:064x}" for index in reversed(range(8))
    )


@pytest.mark.parametrize(
    "text", ["garbage", "::::", "0:", "\0\xff\n", "0::" + "/a" * 50_000, "1:x:user@9999999999999.service"]
)
def test_garbage_is_nowhere(text: str) -> None:
    found = place(text)
    assert found._replace(paths=()) == Place()
