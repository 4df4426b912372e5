"""The refresh cycle: everything it writes, in which order it counts, and what happens when it cannot."""

import hashlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from gpudock.cdi import store
from gpudock.cdi.validate import problems
from gpudock.errors import HostError
from gpudock.facts.base import Missing
from gpudock.facts.engine import CdiSpecFile, Engine
from gpudock.facts.snapshot import Roots, Snapshot
from gpudock.gpu.devices import DriverProblemError
from gpudock.plan import reader
from gpudock.refresh import cycle
from gpudock.refresh.current import StaleError, current, plan_path
from gpudock.refresh.cycle import Outcome
from gpudock.refresh.making import Settings, options
from unit.machines import LIB, VERSION, node
from unit.refresh.hosts import HOOK, Host

NOT_ASKED = Missing("not asked")
LINK = Settings(ways=("link", "copy"))
FABRIC = (node("/dev/nvidia-caps-imex-channels/channel0", 238, 0), node("/dev/gdrdrv", 501, 0))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def refresh(host: Host, settings: Settings = LINK) -> Outcome:
    return cycle.refresh(host.take, host.hook, host.paths, settings)


def written(host: Host) -> dict[str, bytes]:
    """Every file of plans and specifications."""
    folders = (host.paths.cdi, host.paths.plans)
    return {f"{folder}/{name}": Path(folder, name).read_bytes() for folder in folders for name in os.listdir(folder)}


def test_a_first_refresh_writes_tree_plan_and_specification(host: Host) -> None:
    outcome = refresh(host)
    assert (outcome.spec, outcome.changed, outcome.removed, outcome.foreign) == (host.paths.spec, True, [], ())
    document = store.load(host.paths.spec)
    assert problems(document) == []
    plan_file = plan_path(document)
    assert plan_file is not None
    data = Path(plan_file).read_bytes()
    assert plan_file == f"{host.paths.plans}/{hashlib.sha256(data).hexdigest()[:16]}.json"
    assert reader.check(json.loads(data)) == outcome.plan
    assert document["containerEdits"]["hooks"][0]["args"] == [*HOOK[1:], "--plan", plan_file]
    for variant in outcome.plan["variants"].values():
        assert Path(variant["folder"], "lib64").is_dir()
    found = current(host.paths)
    assert (found.plan, found.plan_path, found.spec_path) == (outcome.plan, plan_file, host.paths.spec)


def test_a_second_refresh_changes_nothing(host: Host) -> None:
    refresh(host)
    before = written(host), Path(host.paths.spec).stat().st_ino
    outcome = refresh(host)
    assert not outcome.changed
    assert (written(host), Path(host.paths.spec).stat().st_ino) == before


def test_a_preview_is_what_refresh_writes_and_writes_nothing(host: Host) -> None:
    shown = cycle.preview(host.take(), HOOK, host.paths, LINK)
    assert not any(os.path.exists(path) for path in (host.paths.cdi, host.paths.run, host.paths.state))
    assert (shown.path, shown.changed) == (host.paths.spec, True)
    refresh(host)
    assert shown.spec == Path(host.paths.spec).read_bytes()
    assert not cycle.preview(host.take(), HOOK, host.paths, LINK).changed


def test_a_changed_driver_is_another_plan_tree_and_specification(host: Host) -> None:
    first = refresh(host)
    os.utime(f"{host.root.folder}{LIB}/libcuda.so.{VERSION}")
    with pytest.raises(StaleError, match="libcuda"):
        current(host.paths)
    second = refresh(host)
    assert second.changed
    old, new = (outcome.plan["variants"]["all"]["folder"] for outcome in (first, second))
    assert old != new
    plans = {Path(host.paths.plans, name) for name in os.listdir(host.paths.plans)}
    (gone,) = {path for path in plans if reader.check(json.loads(path.read_text())) == first.plan}
    assert len(plans) == 2
    assert os.path.exists(old)  # a container may be starting with the old plan
    refresh(host)
    assert os.path.exists(old)
    os.utime(gone, (0, 0))  # long ago
    refresh(host)
    assert not os.path.exists(old)


@pytest.mark.parametrize("harm", ["gone", "changed"])
@pytest.mark.parametrize("way", ["link", "copy"])
def test_a_tree_that_somebody_harmed_is_mended(host: Host, harm: str, way: Literal["link", "copy"]) -> None:
    settings = Settings(ways=(way,))
    folder = refresh(host, settings).plan["variants"]["all"]["folder"]
    inode = os.stat(folder).st_ino  # containers have it mounted
    cuda = Path(folder, "lib64", f"libcuda.so.{VERSION}")
    whole = cuda.read_bytes()
    cuda.unlink()
    if harm == "changed":
        cuda.write_bytes(b"something else")
    with pytest.raises(StaleError, match=f"libcuda.so.{VERSION}"):
        current(host.paths)
    assert not refresh(host, settings).changed
    assert current(host.paths).plan["variants"]["all"]["folder"] == folder
    assert (cuda.read_bytes(), os.stat(folder).st_ino) == (whole, inode)
    assert not [name for name in os.listdir(cuda.parent) if name.endswith(".tmp")]


def test_a_plan_that_another_specification_names_stays(host: Host) -> None:
    refresh(host)
    for name in ("aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"):
        path = Path(host.paths.plans, f"{name}.json")
        path.touch()
        os.utime(path, (0, 0))
    host.others = (CdiSpecFile(path="/etc/cdi/made.yaml", kind="my.own/gpu", plan="aaaaaaaaaaaaaaaa"),)
    assert refresh(host).removed == [f"{host.paths.plans}/bbbbbbbbbbbbbbbb.json"]


class TestCapabilitySets:
    def test_those_asked_for_stay(self, host: Host) -> None:
        refresh(host, LINK._replace(wanted=(("ngx",),)))
        assert "ngx" in refresh(host).plan["variants"]
        assert "0.ngx" in [device["name"] for device in store.load(host.paths.spec)["devices"]]

    def test_those_of_another_version_of_gpudock_are_forgotten(self, host: Host) -> None:
        refresh(host)
        document = store.load(host.paths.spec)
        document["devices"][0]["name"] = "0.teleport"
        Path(host.paths.spec).write_text(json.dumps(document))
        assert refresh(host).changed


class TestExtras:
    def test_a_specification_for_each_kind_that_is_there(self, host: Host) -> None:
        host.nodes = FABRIC
        refresh(host)
        assert sorted(os.listdir(host.paths.cdi)) == ["gpudock-gdrcopy.json", "gpudock-imex.json", "gpudock.json"]
        imex = store.load(f"{host.paths.cdi}/gpudock-imex.json")
        assert (imex["kind"], problems(imex)) == ("nvidia.com/imex-channel", [])

    def test_they_go_with_the_hardware(self, host: Host) -> None:
        host.nodes = FABRIC
        refresh(host)
        host.nodes = ()
        assert refresh(host).changed
        assert os.listdir(host.paths.cdi) == ["gpudock.json"]


class TestWithoutDriver:
    def test_our_specifications_are_withdrawn(self, host: Host) -> None:
        host.nodes = FABRIC
        refresh(host)

        def gone() -> Snapshot:
            taken = host.take()
            module = msgspec.structs.replace(taken.kernel_driver, version=Missing("the module is not loaded"))
            return msgspec.structs.replace(taken, driver=Missing("no libcuda.so below /"), kernel_driver=module)

        with pytest.raises(DriverProblemError):
            cycle.refresh(gone, host.hook, host.paths, LINK)
        assert os.listdir(host.paths.cdi) == []
        with pytest.raises(StaleError):
            current(host.paths)
        assert refresh(host).changed  # the driver is back

    def test_other_errors_leave_what_there_is(self, host: Host) -> None:
        refresh(host)
        before = written(host)
        os.utime(f"{host.root.folder}{LIB}/libcuda.so.{VERSION}")
        host.driver = host.root.files()
        os.unlink(f"{host.root.folder}/usr/bin/nvidia-smi")  # a package manager is at work
        with pytest.raises(HostError, match="nvidia-smi"):
            refresh(host)
        assert written(host) == before


class TestUpgradedWithoutReboot:
    """The host has the files of another driver than the one that is loaded; the tree still has the right ones."""

    @pytest.fixture
    def upgraded(self, host: Host) -> Host:
        refresh(host)
        return self.upgrade(host)

    def upgrade(self, host: Host) -> Host:
        """As package managers do it: the old files go, those of the next driver come."""
        host.driver = msgspec.structs.replace(host.root.files(), version="590.10")
        for path in Path(host.root.folder).rglob(f"*{VERSION}*"):
            if path.is_file() and not path.is_symlink():
                path.unlink()
        return host

    def test_what_is_in_place_is_kept_and_said(self, upgraded: Host) -> None:
        before = written(upgraded)
        outcome = refresh(upgraded)
        assert written(upgraded) == before
        assert (outcome.spec, outcome.changed, outcome.complete) == (upgraded.paths.spec, False, True)
        assert outcome.warnings == (
            f"driver 590.10 is installed, {VERSION} is still loaded: containers keep {VERSION} until the reboot",
        )
        assert current(upgraded.paths).plan == outcome.plan

    def test_so_it_is_between_two_packages(self, host: Host) -> None:
        refresh(host)
        before = written(host)
        gone = msgspec.structs.replace(host.take(), driver=Missing("no libcuda.so below /"))
        (warning,) = cycle.refresh(lambda: gone, host.hook, host.paths, LINK).warnings
        assert warning.startswith(f"no driver is installed, {VERSION} is still loaded")
        assert written(host) == before

    def test_the_preview_says_the_same(self, upgraded: Host) -> None:
        shown = cycle.preview(upgraded.take(), HOOK, upgraded.paths, LINK)
        assert (shown.changed, shown.spec) == (False, Path(upgraded.paths.spec).read_bytes())
        assert "until the reboot" in shown.warnings[0]

    def test_a_first_refresh_refuses(self, host: Host) -> None:
        with pytest.raises(DriverProblemError, match=f"module is {VERSION}, the driver's libraries are 590.10"):
            refresh(self.upgrade(host))
        assert not os.path.exists(host.paths.spec)

    def test_what_cannot_be_made_now_is_refused_and_what_is_there_stays(self, upgraded: Host) -> None:
        before = written(upgraded)
        with pytest.raises(DriverProblemError, match=r"libraries are 590\.10"):
            refresh(upgraded, LINK._replace(wanted=(("ngx",),)))
        with pytest.raises(DriverProblemError, match=r"libraries are 590\.10"):
            cycle.preview(upgraded.take(), HOOK, upgraded.paths, LINK._replace(wanted=(("ngx",),)))
        assert written(upgraded) == before

    @pytest.mark.parametrize("harm", ["gone", "overwritten"])
    def test_a_tree_that_is_not_whole_is_no_reason_to_keep_it(self, upgraded: Host, harm: str) -> None:
        cuda = Path(current(upgraded.paths).plan["variants"]["all"]["folder"], "lib64", f"libcuda.so.{VERSION}")
        if harm == "gone":
            cuda.unlink()
        else:
            cuda.write_bytes(b"another driver's")
        with pytest.raises(StaleError, match=f"libcuda.so.{VERSION}"):
            current(upgraded.paths)
        with pytest.raises(DriverProblemError, match=r"libraries are 590\.10") as caught:
            refresh(upgraded)
        assert caught.value.why.endswith(f"removed {upgraded.paths.spec}, which no longer holds")
        assert not os.path.exists(upgraded.paths.spec)

    def test_somebody_elses_specification_comes_first(self, upgraded: Host) -> None:
        upgraded.others = (CdiSpecFile(path="/etc/cdi/nvidia.yaml", kind="nvidia.com/gpu"),)
        with pytest.raises(DriverProblemError, match=r"libraries are 590\.10"):
            refresh(upgraded)
        assert not os.path.exists(upgraded.paths.spec)

    def test_copies_are_as_good_as_links(self, host: Host) -> None:
        refresh(host, Settings(ways=("copy",)))
        assert refresh(self.upgrade(host), Settings(ways=("copy",))).warnings


class TestSomebodyElse:
    """A specification of the same devices that is not ours stays as it is, and ours is where no engine looks."""

    other = CdiSpecFile(path="/etc/cdi/nvidia.yaml", kind="nvidia.com/gpu")

    def test_only_our_runtime_gets_ours(self, host: Host) -> None:
        host.others = (self.other, CdiSpecFile(path="/etc/cdi/x.yaml", kind="x.com/y"))
        outcome = refresh(host)
        assert (outcome.spec, outcome.changed, outcome.foreign) == (host.paths.aside, True, (self.other,))
        assert not os.path.exists(host.paths.cdi)
        assert current(host.paths, host.paths.aside).plan == outcome.plan
        assert all(os.path.isdir(variant["folder"]) for variant in outcome.plan["variants"].values())
        with pytest.raises(StaleError):
            current(host.paths)
        assert not refresh(host).changed

    def test_ours_gives_way_and_comes_back(self, host: Host) -> None:
        refresh(host)
        host.others = (self.other,)
        assert refresh(host).removed == [host.paths.spec]
        assert not os.path.exists(host.paths.spec)
        host.others = ()
        assert refresh(host).removed == [host.paths.aside]
        assert not os.path.exists(host.paths.aside)
        assert current(host.paths).plan["gpus"]

    def test_what_was_asked_for_once_stays(self, host: Host) -> None:
        host.others = (self.other,)
        refresh(host, LINK._replace(wanted=(("ngx",),)))
        assert "ngx" in refresh(host).plan["variants"]

    def test_without_a_driver_it_goes(self, host: Host) -> None:
        host.others = (self.other,)
        refresh(host)
        module = msgspec.structs.replace(host.take().kernel_driver, version=Missing("the module is not loaded"))
        gone = msgspec.structs.replace(host.take(), driver=Missing("no libcuda.so below /"), kernel_driver=module)
        with pytest.raises(DriverProblemError):
            cycle.refresh(lambda: gone, host.hook, host.paths, LINK)
        assert not os.path.exists(host.paths.aside)


def test_other_devices_are_left_to_somebody_else_one_kind_at_a_time(host: Host) -> None:
    host.nodes = FABRIC
    host.others = (CdiSpecFile(path="/etc/cdi/imex.yaml", kind="nvidia.com/imex-channel"),)
    refresh(host)
    assert sorted(os.listdir(host.paths.cdi)) == ["gpudock-gdrcopy.json", "gpudock.json"]
    host.others = (CdiSpecFile(path="/etc/cdi/nvidia.yaml", kind="nvidia.com/gpu"),)
    refresh(host)
    assert sorted(os.listdir(host.paths.cdi)) == ["gpudock-gdrcopy.json", "gpudock-imex.json"]


class TestSilentDriver:
    """NVML does not answer: what is known from before is worth more than what /proc tells."""

    def silence(self, host: Host) -> Callable[[], Snapshot]:
        return lambda: msgspec.structs.replace(host.take(), nvml=Missing("it did not answer within 5 s"))

    def test_a_specification_that_fits_is_kept(self, host: Host) -> None:
        refresh(host)
        before = written(host)
        outcome = cycle.refresh(self.silence(host), host.hook, host.paths, LINK)
        assert written(host) == before
        assert (outcome.spec, outcome.changed, outcome.complete) == (host.paths.spec, False, False)
        assert any("NVML did not answer" in warning for warning in outcome.warnings)

    def test_without_one_what_is_known_is_written_and_called_incomplete(self, host: Host) -> None:
        outcome = cycle.refresh(self.silence(host), host.hook, host.paths, LINK)
        assert (outcome.changed, outcome.complete) == (True, False)
        assert refresh(host).complete


class TestRemembered:
    def test_roots_and_links_outlive_a_reboot(self, host: Host) -> None:
        refresh(host, Settings(ways=("link",), library_links=True))
        os.unlink(host.paths.spec)
        found = cycle.earlier(host.paths)
        assert (found.roots, found.library_links) == (host.roots, True)

    @pytest.mark.parametrize("data", [None, b"", b"{", b'{"roots": 5}', b"\xff"])
    def test_without_a_good_record_it_is_this_machine(self, host: Host, data: bytes | None) -> None:
        if data is not None:
            os.makedirs(host.paths.state)
            Path(host.paths.source).write_bytes(data)
        assert cycle.earlier(host.paths) == cycle.Source(roots=Roots(), library_links=False)


class TestGroups:
    """cdiVersion 0.7.0 only where every engine that reads specifications reads that."""

    def groups(self, host: Host, *engines: Engine) -> bool:
        return options(msgspec.structs.replace(host.take(), engines=engines), HOOK, "/plan").groups

    @pytest.mark.parametrize(
        ("name", "old", "new"),
        [
            ("podman", "4.9.4", "5.0.0"),
            ("docker", "26.1.5", "27.0.1"),
            ("containerd", "1.7.24", "2.0.0"),
            ("crio", "1.30.1", "1.31"),
        ],
    )
    def test_by_version(self, host: Host, name: str, old: str, new: str) -> None:
        def engine(version: str | Missing, cdi: bool | Missing = NOT_ASKED) -> Engine:
            return Engine(name=name, program=name, version=version, cdi=cdi)

        assert self.groups(host, engine(new))
        assert not self.groups(host, engine(old))
        assert not self.groups(host, engine(new), engine(old))
        assert not self.groups(host, engine(Missing("not running")))
        assert self.groups(host, engine(old, cdi=False))  # it reads none at all
        assert not self.groups(host, engine(old, cdi=True))

    def test_unknown_engines(self, host: Host) -> None:
        unknown = msgspec.structs.replace(host.take(), engines=Missing("not asked"))
        assert not options(unknown, HOOK, "/plan").groups
        assert self.groups(host)


class TestWaiters:
    def test_many_waiters_need_one_regeneration(self, host: Host) -> None:
        """The first looks at the machine before the others ask: one of them looks again, for all."""
        looks: list[str] = []
        looking, go_on = threading.Event(), threading.Event()

        def take(name: str) -> Snapshot:
            looks.append(name)
            if name == "first":
                looking.set()
                assert go_on.wait(10)
            return host.take()

        outcomes: dict[str, Outcome] = {}

        def work(name: str) -> None:
            outcomes[name] = cycle.refresh(lambda: take(name), host.hook, host.paths, LINK)

        threads = [threading.Thread(target=work, args=(name,)) for name in ("first", "a", "b", "c")]
        threads[0].start()
        assert looking.wait(10)
        for thread in threads[1:]:
            thread.start()
            thread.join(0.05)
        go_on.set()
        for thread in threads:
            thread.join(10)
        assert len(looks) == 2
        assert {outcome.plan["driver"] for outcome in outcomes.values()} == {VERSION}
        assert [outcome.changed for outcome in outcomes.values()].count(True) == 1

    @pytest.mark.parametrize(
        "settings", [LINK._replace(wanted=(("ngx",),)), LINK._replace(library_links=True)], ids=["wanted", "links"]
    )
    def test_a_waiter_that_wants_more_works_itself(self, host: Host, settings: Settings) -> None:
        refresh(host)
        assert cycle._done_meanwhile(host.paths, LINK, 0) is not None
        assert cycle._done_meanwhile(host.paths, settings, 0) is None

    @pytest.mark.parametrize("end", [os.unlink, lambda path: Path(path).write_text("{")])
    def test_a_waiter_of_nothing_usable_works_itself(self, host: Host, end: Callable[[str], object]) -> None:
        refresh(host)
        end(host.paths.spec)
        assert cycle._done_meanwhile(host.paths, LINK, 0) is None


@pytest.mark.parametrize(
    "document", [{}, {"containerEdits": 1}, {"containerEdits": {"hooks": [1, {"args": 2}, {"args": ["--plan"]}]}}]
)
def test_specifications_that_name_no_plan(document: dict[str, object]) -> None:
    assert plan_path(document) is None
