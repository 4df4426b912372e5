"""From a process id to container, environment and person, on recorded /proc trees."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from gpudock.facts.base import Missing
from gpudock.monitor import attribute, known
from gpudock.monitor.attribute import Machine
from gpudock.monitor.sample import Container, Owner, Pod, Process, Utilization
from unit.monitor.proctree import Tree
from unit.monitor.test_cgroup import FORMS, POD, UNDER, A, B

GPU, OTHER = "GPU-0", "GPU-1"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def on_gpu(pid: int, gpu: str = GPU, memory: int | Missing = 100, load: int = 10) -> Process:
    return Process(pid=pid, gpu=gpu, memory=memory, utilization=Utilization(gpu=load))


def look(tree: Tree, *pids: int) -> tuple[tuple[Process, ...], tuple[Container, ...]]:
    processes, containers, _ = tree.machine().look([on_gpu(pid) for pid in pids])
    return processes, containers


@pytest.mark.parametrize("form", [form for form, (_, ids, engine) in FORMS.items() if ids and engine != "cri"])
def test_each_form_leads_to_the_engines_container(form: str, tree: Tree) -> None:
    text, ids, engine = FORMS[form]
    tree.process(7, text)
    tree.container(engine or "docker", ids[0], "trainer")
    (process,), (container,) = look(tree, 7)
    assert process.container == container.id == ids[0]
    assert (container.name, container.image, container.engine) == ("trainer", "image-of-trainer", engine or "docker")


def test_what_the_deepest_id_is_not_known_the_next_one_is(tree: Tree) -> None:
    tree.process(7, f"0::/docker/{A}/docker/{B}\n")
    tree.container("docker", A, "outer")
    (process,), (container,) = look(tree, 7)
    assert (process.container, container.name) == (A, "outer")


def test_the_container_around_may_be_another_engines(tree: Tree) -> None:
    tree.process(7, f"0::/machine.slice/libpod-{A}.scope/container/docker/{B}\n")
    tree.container("podman", A, "outer")
    (process,), (container,) = look(tree, 7)
    assert (process.container, container.name, container.engine) == (A, "outer", "podman")


def test_without_an_engine_each_container_of_a_podmans_pod_is_one_of_its_own(tree: Tree) -> None:
    for pid, identity in ((7, A), (8, B)):
        tree.process(pid, f"0::/libpod_parent/{'c3' * 32}/libpod-{identity}\n")
    assert {each.id for each in look(tree, 7, 8)[1]} == {A, B}


def test_an_unknown_container_is_shown_by_its_id_and_its_owner_is_the_processes(tree: Tree) -> None:
    tree.process(7, f"0::/docker/{A}\n", uid=1000)
    (process,), (container,) = look(tree, 7)
    assert (container.id, container.name, container.engine, container.label) == (A, "", "", A[:12])
    assert process.owner == Owner(name="alice", uid=1000)


def test_everything_that_is_known_of_a_process(tree: Tree) -> None:
    tree.process(7, f"0::/system.slice/docker-{A}.scope\n", start=123_400)
    tree.container(
        "docker", A, "jup", gpudock__owner="alice", gpudock__env="torch", com__docker__compose__project="lab",
        com__docker__compose__service="jupyter",
    )  # fmt: skip
    (process,), (container,) = look(tree, 7)
    assert (process.name, process.uid, process.user, process.command) == ("python3", 0, "root", "")
    assert process.started == 1795990000 + 1234.0
    assert process.owner == container.owner == Owner(name="alice", source="label")
    assert (container.environment, container.project, container.service) == ("torch", "lab", "jupyter")
    assert (container.gpus, container.memory, container.utilization) == ((GPU,), 100, 10)


def test_command_lines_are_read_only_when_asked_for(tree: Tree) -> None:
    tree.process(7, "0::/\n", uid=1000)
    processes, _, _ = tree.machine(commands=True).look([on_gpu(7)])
    (process,) = processes
    assert process.command == "python3 train.py --token=secret"


def test_podman_of_a_user_without_cgroups_is_found_by_its_mounts(tree: Tree) -> None:
    source = f"/home/bob/.local/share/containers/storage/overlay-containers/{A}/userdata/hostname"
    mounts = f"30 20 0:5 / / rw - overlay overlay rw\n31 30 8:1 {source} /etc/hostname rw - ext4 /dev/sda1 rw\n"
    tree.process(7, "0::/\n", uid=231072 + 5, mounts=mounts)
    tree.engines[1001] = ("podman",)
    tree.container("podman", A, "bobs", gpudock__owner="alice")
    (process,), (container,) = look(tree, 7)
    assert (process.container, container.id, container.name) == (f"{A}@1001", f"{A}@1001", "bobs")
    assert process.owner == Owner(name="bob", uid=1001, source="subuid")


def test_nobody_gets_into_somebody_elses_container_by_a_cgroup_of_his_own(tree: Tree) -> None:
    tree.process(7, f"0::/user.slice/user-1001.slice/user@1001.service/x/docker-{A}.scope\n", uid=1001)
    tree.container("docker", A, "alices", gpudock__owner="alice")
    (process,), (container,) = look(tree, 7)
    assert (container.name, container.engine) == ("", "")
    assert process.owner == Owner(name="bob", uid=1001, source="path")
    assert tree.asked == []


OWN = "0::/user.slice/user-1001.slice/user@1001.service/user.slice/docker-{}.scope\n"


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
@pytest.mark.parametrize("claims", [True, False])
def test_a_container_that_only_has_the_id_of_anothers_is_another(
    order: tuple[int, int], claims: bool, tree: Tree
) -> None:
    """`claims`: his own engine says that it has it, too."""
    tree.process(1, f"0::/system.slice/docker-{A}.scope\n")
    tree.container("docker", A, "victim-train", gpudock__owner="alice")
    tree.process(2, OWN.format(A), uid=1001)
    if claims:
        tree.engines[1001] = ("podman", "docker")
        tree.container("podman", A, "mallory", gpudock__owner="alice")
    memory = {1: 2000, 2: 3}
    machine = tree.machine()
    processes, containers, people = machine.look([on_gpu(pid, memory=memory[pid]) for pid in order])
    found = {each.id: each for each in containers}
    assert {each.pid: each.container for each in processes} == {1: A, 2: f"{A}@1001"}
    assert (found[A].name, found[A].memory, found[A].owner) == (
        "victim-train",
        2000,
        Owner(name="alice", source="label"),
    )
    assert (found[f"{A}@1001"].memory, found[f"{A}@1001"].owner) == (3, Owner(name="bob", uid=1001, source="path"))
    assert {each.name: each.containers for each in people} == {"alice": (A,), "bob": (f"{A}@1001",)}


@pytest.mark.parametrize(
    "claim",
    [
        f"/lxc.payload.web/docker/{A}",
        f"/lxc/docker/{A}",
        f"/lxc.payload.a.slice/docker-{A}.scope",
        f"/../docker/{A}",
        f"/system.slice/web.service/docker-{A}.scope",
        f"/machine.slice/machine-web.scope/system.slice/docker-{A}.scope",
        f"/docker/{B}/libpod-{A}",
        f"/docker/{B}/docker/{A}",
        f"/docker/{B}/system.slice/docker-{A}.scope",
    ],
)
def test_a_cgroup_made_elsewhere_and_named_after_a_container_leads_not_into_it(claim: str, tree: Tree) -> None:
    tree.process(1, f"0::/system.slice/docker-{A}.scope\n")
    tree.process(2, f"0::{claim}\n", uid=100_000)
    tree.container("docker", A, "victim", gpudock__owner="alice")
    tree.container("docker", B, "around", gpudock__owner="bob")
    processes, containers = look(tree, 2, 1)
    outside = B if B in claim else ""
    assert {each.pid: each.container for each in processes} == {1: A, 2: outside}
    assert {each.name: each.memory for each in containers} == (
        {"victim": 100, "around": 100} if outside else {"victim": 100}
    )
    assert next(each for each in processes if each.pid == 2).owner == (
        Owner(name="bob", source="label") if outside else Owner(name="#100000", uid=100_000)
    )


def test_a_container_that_starts_again_while_its_engine_is_asked_has_no_name_yet(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.process(7, f"0::/lab/{A}\n")
    tree.container("docker", A, "late")
    tree.answers["docker"][A]["State"]["Pid"] = 6  # which has ended
    machine = tree.machine()
    (process,), (container,), _ = machine.look([on_gpu(7)])
    assert (process.container, container.name) == (A, "")
    tree.answers["docker"][A]["State"]["Pid"] = 7
    monkeypatch.setattr("time.monotonic", later(known.AGAIN_UNKNOWN + 1))
    assert gone(machine.look([on_gpu(7)])[1]) == ["late"]


MADE = {
    "docker": (f"/system.slice/docker-{A}.scope", f"/lab.slice/lab-gpu.slice/docker-{A}.scope/init", f"/docker/{A}"),
    "podman": (
        f"/machine.slice/libpod-{A}.scope/container",
        f"/machine.slice/machine-libpod_pod_{B}.slice/libpod-{A}.scope",
        f"/machine.slice/libpod-payload-{A}.scope",
        f"/libpod_parent/libpod-{A}",
        f"/libpod_parent/{B}/libpod-{A}",
    ),
}


@pytest.mark.parametrize(
    "first", ["/", "/init.scope", "/system.slice/slurmstepd.scope/job_7/step_0", f"/user.slice/libpod-{B}.scope", None]
)
@pytest.mark.parametrize(("engine", "path"), [(engine, path) for engine, paths in MADE.items() for path in paths])
def test_where_only_root_makes_cgroups_the_engine_is_believed_wherever_the_first_process_is(
    first: str | None, engine: str, path: str, tree: Tree
) -> None:
    """None: it is another user's, whom hidepid=2 hides."""
    if first:
        tree.process(1, f"0::{first}\n")
    tree.process(7, f"4:memory:{path}\n0::/\n", uid=1000)
    tree.container(engine, A, "trainer", gpudock__owner="bob", gpudock__env="torch")
    tree.answers[engine][A]["State"]["Pid"] = 1
    (process,), (container,) = look(tree, 7)
    assert (process.container, container.name, container.environment) == (A, "trainer", "torch")
    assert process.owner == Owner(name="bob", source="label")


@pytest.mark.parametrize("first", ["/", "/slurm/uid_1000/job_7", None])
@pytest.mark.parametrize("path", [f"/lab/{A}", f"/system.slice/web.service/docker-{A}.scope"])
def test_a_first_process_that_has_left_or_is_hidden_neither_confirms_nor_denies(
    first: str | None, path: str, tree: Tree
) -> None:
    if first:
        tree.process(1, f"0::{first}\n")
    tree.process(7, f"0::{path}\n", uid=1000)
    tree.container("docker", A, "trainer", gpudock__owner="bob")
    tree.answers["docker"][A]["State"]["Pid"] = 1
    (process,), (container,) = look(tree, 7)
    assert (process.container, container.name, process.owner) == (A, "", Owner(name="alice", uid=1000))


def test_who_ends_before_his_user_is_known_is_in_no_container(tree: Tree) -> None:
    mounts = f"31 30 8:1 /var/lib/docker/containers/{A}/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n"
    tree.process(1, f"0::/docker/{A}\n")
    tree.container("docker", A, "victim")
    tree.process(7, "0::/\n", mounts=mounts)
    tree.write("proc/7/status", "")
    processes, (container,) = look(tree, 1, 7)
    assert [each.container for each in processes] == [A, ""]
    assert container.memory == 100


def test_nobody_labels_a_container_of_his_own_engine_as_a_pod(tree: Tree) -> None:
    tree.process(2, OWN.format(A), uid=1001)
    tree.engines[1001] = ("docker",)
    tree.container("docker", A, "mine", io__kubernetes__pod__uid=POD, io__kubernetes__pod__name="train-0")
    (process,), (container,) = look(tree, 2)
    assert (container.name, container.pod, process.pod) == ("mine", None, None)


def test_a_container_that_root_started_in_a_users_session_is_the_machines(tree: Tree) -> None:
    tree.process(7, f"0::/user.slice/user-1001.slice/session-3.scope/libpod-payload-{A}\n")
    tree.container("podman", A, "by-sudo")
    (process,), (container,) = look(tree, 7)
    assert (container.id, container.name, container.engine) == (A, "by-sudo", "podman")
    assert process.owner == Owner(name="bob", uid=1001, source="path")


def test_the_name_of_a_program_is_no_line_of_its_own(tree: Tree) -> None:
    tree.process(7, "0::/user.slice/user-1001.slice/session-3.scope\n", uid=1001, name="x\x1cUid:\t1000")
    (process,), _ = look(tree, 7)
    assert (process.uid, process.owner) == (1001, Owner(name="bob", uid=1001))


def test_pods_are_named_by_the_kubelets_folders_and_no_engine_is_asked(tree: Tree) -> None:
    tree.process(7, f"0::/kubepods.slice/kubepods-pod{UNDER}.slice/cri-containerd-{A}.scope\n")
    tree.write(f"var/log/pods/ml_train-0_{POD}/worker/0.log", "")
    tree.write(f"var/log/containers/train-0_ml_worker-{A}.log", "")
    (process,), (container,) = look(tree, 7)
    assert process.pod == Pod(uid=POD, name="train-0", namespace="ml", container="worker")
    assert (container.label, container.owner) == ("worker", Owner(name="ml/train-0", source="pod"))
    assert tree.asked == []


def test_who_is_in_a_pod_does_not_get_the_name_of_anothers_container(tree: Tree) -> None:
    tree.process(7, f"0::/kubepods.slice/kubepods-pod{UNDER}.slice/cri-containerd-{A}.scope/cri-containerd-{B}.scope\n")
    tree.write(f"var/log/containers/train-0_ml_mine-{A}.log", "")
    tree.write(f"var/log/containers/other-0_web_victim-{B}.log", "")
    (process,), (container,) = look(tree, 7)
    assert process.pod is not None
    assert (process.pod.container, container.id) == ("mine", A)


def test_jobs(tree: Tree) -> None:
    tree.process(7, "9:memory:/slurm/uid_1000/job_4242/step_0\n", uid=1000)
    (process,), containers = look(tree, 7)
    assert (process.job, process.owner) == ("4242", Owner(name="alice", uid=1000, source="job"))
    assert containers == ()


def test_a_process_that_is_gone_is_still_counted(tree: Tree) -> None:
    (process,), containers = look(tree, 7)
    assert (process.pid, process.memory, process.owner, process.name, containers) == (7, 100, None, "", ())


def test_a_number_that_is_used_again_is_another_process(tree: Tree) -> None:
    machine = tree.machine()
    tree.process(7, f"0::/docker/{A}\n")
    assert [each.container for each in machine.look([on_gpu(7)])[0]] == [A]
    tree.process(7, f"0::/docker/{B}\n", start=9999)
    assert [each.container for each in machine.look([on_gpu(7)])[0]] == [B]


def test_who_does_not_see_the_machines_processes_says_so_and_guesses_nothing(tree: Tree) -> None:
    tree.link("proc/self/ns/pid", "pid:[4026532277]")
    tree.process(7, f"0::/docker/{A}\n")
    machine = tree.machine()
    assert "--pid=host" in "".join(machine.problems)
    (process,), containers, people = machine.look([on_gpu(7)])
    assert (process.name, containers, people) == ("", (), ())
    assert tree.machine(simulated=True).problems == ()  # whoever wrote those process ids did so here


def test_an_engine_is_asked_once_for_all_and_not_again(tree: Tree) -> None:
    machine = tree.machine()
    for pid in range(1, 6):
        tree.process(pid, f"0::/docker/{pid:064x}\n")
        tree.container("docker", f"{pid:064x}", f"c{pid}")
    told = [on_gpu(pid) for pid in range(1, 6)]
    machine.look(told)
    machine.look(told)
    _, containers, _ = machine.look(told)
    assert {each.name for each in containers} == {"c1", "c2", "c3", "c4", "c5"}
    assert len(tree.asked) == 1


def test_the_second_engine_is_asked_for_what_the_first_does_not_know(tree: Tree) -> None:
    tree.process(7, f"0::/lab/{A}\n")
    tree.container("podman", A, "p")
    _, (container,) = look(tree, 7)
    assert (container.name, container.engine) == ("p", "podman")
    assert [argv[0] for argv in tree.asked] == ["docker", "podman"]


def test_an_engine_that_is_down_is_said_and_what_was_known_stays(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = tree.machine()
    tree.process(7, f"0::/docker/{A}\n")
    tree.container("docker", A, "kept")
    machine.look([on_gpu(7)])
    assert [(each.name, each.problem) for each in machine.engines()] == [("docker", "")]
    tree.broken.add("docker")
    monkeypatch.setattr("time.monotonic", later(known.AGAIN_KNOWN + 1))
    _, (container,), _ = machine.look([on_gpu(7)])
    assert container.name == "kept"
    assert "Cannot connect to the Docker daemon" in machine.engines()[0].problem


@pytest.mark.parametrize("left", ["", f"0::/libpod_parent/libpod-{B}\n"])
def test_an_engine_of_which_nothing_is_wanted_any_more_has_no_problem(
    left: str, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = tree.machine()
    tree.process(7, f"0::/docker/{A}\n")
    tree.broken.add("docker")
    machine.look([on_gpu(7)])
    monkeypatch.setattr("time.monotonic", later(known.AGAIN_UNKNOWN + 1))
    machine.look([on_gpu(7)])
    assert [each.name for each in machine.engines() if each.problem] == ["docker"]
    if left:
        tree.process(8, left)
        tree.container("podman", B, "other")
    machine.look([on_gpu(8)] if left else [])
    assert [(each.name, each.problem) for each in machine.engines()] == ([("podman", "")] if left else [])


def later(seconds: float) -> Callable[[], float]:
    clock = time.monotonic
    return lambda: clock() + seconds


def test_people_add_up_over_containers_and_gpus(tree: Tree) -> None:
    tree.process(1, f"0::/docker/{A}\n")
    tree.process(2, "0::/\n", uid=1000)
    tree.process(3, "0::/\n", uid=1001)
    tree.container("docker", A, "c", gpudock__owner__uid="1000")
    told = [on_gpu(1), on_gpu(1, OTHER), on_gpu(2), on_gpu(3, memory=Missing("NVML does not tell"))]
    _, containers, people = tree.machine().look(told)
    first, second = people
    assert (first.name, first.gpus, first.memory, first.utilization) == ("alice", (GPU, OTHER), 300, 30)
    assert (first.processes, first.containers) == (2, (A,))
    assert (second.name, second.memory) == ("bob", Missing("NVML does not tell"))
    assert containers[0].memory == 200


def test_use_of_a_container_on_both_versions_of_cgroups(tree: Tree) -> None:
    tree.process(1, f"0::/docker/{A}/child\n")
    place = f"sys/fs/cgroup/docker/{A}"
    tree.write(f"{place}/cpu.stat", "usage_usec 2500000\nuser_usec 1\n")
    tree.write(f"{place}/memory.current", "1000\n")
    tree.write(f"{place}/memory.stat", "anon 1\ninactive_file 300\n")
    tree.write(f"{place}/memory.max", "max\n")
    tree.write(f"{place}/io.stat", "8:0 rbytes=10 wbytes=20 rios=1\n8:16 rbytes=5 wbytes=0\n")
    tree.write("sys/fs/cgroup/cgroup.controllers", "cpu io memory\n")
    tree.process(2, f"4:memory:/docker/{B}\n3:cpuacct:/docker/{B}\n2:blkio:/docker/{B}\n0::/\n")
    tree.write(f"sys/fs/cgroup/cpuacct/docker/{B}/cpuacct.usage", "1500000000\n")
    tree.write(f"sys/fs/cgroup/memory/docker/{B}/memory.usage_in_bytes", "900\n")
    tree.write(f"sys/fs/cgroup/memory/docker/{B}/memory.stat", "total_inactive_file 400\n")
    tree.write(f"sys/fs/cgroup/memory/docker/{B}/memory.limit_in_bytes", "4096\n")
    tree.write(f"sys/fs/cgroup/blkio/docker/{B}/blkio.throttle.io_service_bytes", "8:0 Read 7\n8:0 Write 8\nTotal 15\n")
    _, containers = look(tree, 1, 2)
    use = {each.id: each.use for each in containers}
    first, second = use[A], use[B]
    assert (first.cpu_seconds, first.memory, first.memory_limit, first.read, first.written) == (2.5, 700, None, 15, 20)
    assert (second.cpu_seconds, second.memory, second.memory_limit) == (1.5, 500, 4096)
    assert (second.read, second.written) == (7, 8)
    assert first.cpu == Missing("needs two looks")


def test_beside_version_1_the_unified_tree_only_names_processes(tree: Tree) -> None:
    tree.process(1, f"4:memory:/libpod_parent/libpod-{A}\n0::/libpod_parent/libpod-{A}\n")
    place = f"sys/fs/cgroup/memory/libpod_parent/libpod-{A}"
    tree.write(f"{place}/memory.usage_in_bytes", "900\n")
    tree.write(f"{place}/memory.limit_in_bytes", "4096\n")
    _, (container,) = look(tree, 1)
    assert (container.use.memory, container.use.memory_limit) == (900, 4096)
    assert container.use.cpu_seconds == Missing("its cgroup cannot be read")


def test_a_container_that_did_nothing_on_disks_yet_has_read_and_written_0(tree: Tree) -> None:
    tree.process(1, f"0::/docker/{A}\n")
    tree.write("sys/fs/cgroup/cgroup.controllers", "cpu io memory\n")
    tree.write(f"sys/fs/cgroup/docker/{A}/io.stat", "")
    _, (container,) = look(tree, 1)
    assert (container.use.read, container.use.written) == (0, 0)
    tree.process(2, f"4:memory:/docker/{B}\n2:blkio:/\n")
    tree.write("sys/fs/cgroup/blkio/blkio.throttle.io_service_bytes", "8:0 Read 7\n")
    _, (container,) = look(tree, 2)
    assert container.use.read == Missing("its cgroup cannot be read")  # and not what all of the machine read


def test_a_container_without_a_cgroup_of_its_own_has_no_use(tree: Tree) -> None:
    tree.process(1, f"0::/lost/{A}\n")
    _, (container,) = look(tree, 1)
    assert container.use.memory == Missing("its cgroup cannot be read")


def gone(containers: Iterable[Container]) -> list[str]:
    return [each.name for each in containers]


def test_a_container_that_went_away_between_two_looks_is_gone(tree: Tree) -> None:
    machine = tree.machine()
    tree.process(1, f"0::/docker/{A}\n")
    tree.container("docker", A, "short")
    assert gone(machine.look([on_gpu(1)])[1]) == ["short"]
    assert gone(machine.look([])[1]) == []


class Living:
    """Knows of everybody that he still lives, as pidfds do, until he is said to have ended."""

    def __init__(self) -> None:
        self.pids: set[int] = set()

    def watch(self, pid: int) -> None:
        self.pids.add(pid)

    def known(self) -> set[int]:
        return set(self.pids)

    def forget(self, pid: int) -> None:
        self.pids.discard(pid)


@pytest.fixture
def living(tree: Tree) -> tuple[Machine, Living]:
    machine, alive = tree.machine(), Living()
    machine._processes._alive = alive  # type: ignore[assignment]
    return machine, alive


def test_while_the_same_processes_live_nothing_of_them_is_read_again(
    tree: Tree, living: tuple[Machine, Living], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, _ = living
    tree.process(7, f"0::/docker/{A}\n")
    tree.process(8, f"0::/docker/{B}\n")
    told = [on_gpu(7, load=10), on_gpu(8, load=20)]
    before = machine.look(told)
    monkeypatch.setattr("gpudock.host.root.Root.read", None)
    assert machine.look(told) == before
    loads = [each.utilization for each in machine.look([on_gpu(7, load=30), on_gpu(8, load=40, memory=5)])[1]]
    assert loads == [30, 40]  # what they use is of now


def test_what_a_process_is_called_and_where_it_is_is_read_again_now_and_then(
    tree: Tree, living: tuple[Machine, Living]
) -> None:
    machine, alive = living
    tree.process(7, f"0::/docker/{A}\n")
    (process,), _, _ = machine.look([on_gpu(7)])
    assert (process.name, process.container, process.uid) == ("python3", A, 0)
    tree.process(7, f"0::/docker/{B}\n", name="ray::train", uid=1000)  # prctl, setuid, and moved by its engine
    seen = [machine.look([on_gpu(7)])[0][0] for _ in range(attribute.READ_EVERY)]
    assert [each.name for each in seen] == ["python3"] * (attribute.READ_EVERY - 1) + ["ray::train"]
    assert (seen[-1].container, seen[-1].uid, alive.pids) == (B, 1000, {7})


def test_of_processes_that_come_go_and_take_a_number_again_each_is_known_by_itself(
    tree: Tree, living: tuple[Machine, Living]
) -> None:
    machine, alive = living
    tree.process(7, f"0::/docker/{A}\n")
    tree.process(8, f"0::/docker/{A}\n")
    told = [on_gpu(7), on_gpu(8)]

    def where() -> list[str]:
        return [each.container for each in machine.look(told)[0]]

    assert where() == where() == [A, A]
    tree.process(8, f"0::/docker/{B}\n", start=9999)
    alive.pids.discard(8)
    assert where() == where() == [A, B]
    tree.process(9, "0::/\n")
    told.append(on_gpu(9))
    assert where() == [A, B, ""]
    told.remove(on_gpu(7))
    assert where() == [B, ""]
    assert alive.pids == {8, 9}


def test_what_an_engine_learns_is_shown_at_once_though_the_processes_are_the_same(
    tree: Tree, living: tuple[Machine, Living], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, _ = living
    tree.process(7, f"0::/docker/{A}\n")
    names = [each.name for _ in range(2) for each in machine.look([on_gpu(7)])[1]]
    tree.container("docker", A, "late", gpudock__owner="alice")
    monkeypatch.setattr("time.monotonic", later(known.AGAIN_UNKNOWN + 1))
    (process,), (container,), _ = machine.look([on_gpu(7)])
    assert (*names, container.name) == ("", "", "late")
    assert process.owner == container.owner == Owner(name="alice", source="label")
