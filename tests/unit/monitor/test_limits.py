"""Where something ends: names, lists, files, and the ids that are somebody's."""

import re
from pathlib import Path

import pytest

from gpudock.host.root import Root
from gpudock.monitor import collector, metric, mounted, processes, serve, store, units
from gpudock.monitor.accounts import Accounts
from unit.monitor import demo
from unit.monitor.asked import ask
from unit.monitor.proctree import Tree
from unit.monitor.test_collector import Watcher, answer, only
from unit.monitor.test_collector import collector as made_collector

DOCS = Path(__file__).parents[3] / "docs"
ID = "c" * 64


@pytest.mark.parametrize(
    ("uid", "name"),
    [(99_999, None), (100_000, "alice"), (165_535, "alice"), (165_536, "bob"), (231_071, "bob"), (231_072, None)],
)
def test_subordinate_ids_end_where_the_next_ones_begin(uid: int, name: str | None, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("alice:x:1000:1000::/:/bin/sh\nbob:x:1001:1001::/:/bin/sh\n")
    (tmp_path / "etc/subuid").write_text("alice:100000:65536\nbob:165536:65536\n")
    found = Accounts(Root(str(tmp_path))).holder(uid)
    assert (found and found[0]) == name


def test_a_label_is_cut_however_it_comes_to_the_others() -> None:
    long = "x" * 1000
    cut = "x" * metric.LONGEST
    assert metric.written([("a", long)]) == f'{{a="{cut}"}}'
    assert metric.with_label("", "a", long) == f'{{a="{cut}"}}'
    assert metric.with_label('{a="b"}', "c", long) == f'{{a="b",c="{cut}"}}'


def test_a_command_is_cut(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.process(7, "0::/\n")
    tree.write("proc/7/cmdline", "python3\0" + "x" * 1000)
    (seen,) = processes.Processes(Root(str(tmp_path / "proc")), commands=True).look({7}).values()
    assert seen.command == ("python3 " + "x" * 1000)[:256]


def test_the_latest_kinds_of_errors_are_remembered() -> None:
    """A broken GPU may report whatever number it likes."""
    watcher = Watcher()
    made = made_collector(watcher)
    watcher.told = answer(xids=tuple(("GPU-0", code) for code in range(100)))
    heard = only(made.look()).xids
    assert isinstance(heard, tuple)
    assert [each.code for each in heard] == list(range(100 - collector.MOST_XIDS, 100))


def test_a_chart_has_no_more_points_than_can_be_drawn() -> None:
    source, history = demo.DemoSource(), demo.DemoHistory()
    made = serve.application(source, history)
    chart = ask(made, f"/api/v1/history?metric=power&since={demo.START - 86400}&until={demo.START}&points=1000000").json
    assert 1900 < len(chart["times"]) <= 2000


def test_a_container_is_known_by_what_an_engine_mounts_where_it_does() -> None:
    """Anybody may mount a file of that name somewhere else, into his own namespace."""
    source = f"/var/lib/docker/containers/{ID}/hostname"
    line = "700 600 254:1 {source} {target} rw,relatime - ext4 /dev/vda1 rw"
    for target, found in (("/etc/hostname", (ID,)), ("/etc/hosts", (ID,)), ("/data/hostname", ()), ("/mnt", ())):
        assert mounted._ids(line.format(source=source, target=target)) == found, target
    assert mounted._ids(line.format(source=f"/home/x/{ID}/hostname", target="/etc/hostname")) == ()


def test_what_is_kept_is_what_the_documentation_promises() -> None:
    text = re.sub(r"\s+", " ", (DOCS / "monitoring.md").read_text())
    assert f"rows of ten seconds for six hours, of five minutes for a month, at most {store.LARGEST >> 20} MiB" in text
    assert (store.FINE, store.COARSE, store.KEEP_FINE) == (10, 300, 6 * 3600)
    assert 31 * 86400 <= store.KEEP_COARSE <= 62 * 86400


def test_the_service_may_take_more_memory_than_it_needs() -> None:
    """100 MB are its budget; systemd kills whatever goes over the limit."""
    found = re.search(r"^MemoryMax=([0-9]+)M$", units.text("/usr/bin/gpudock"), re.MULTILINE)
    assert found is not None
    assert 256 <= int(found[1]) <= 1024
