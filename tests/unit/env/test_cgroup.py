from gpudock.env import cgroup
from gpudock.env.cgroup import Cgroup


def test_version_2() -> None:
    text = (
        "== /sys/fs/cgroup/memory.max\n34359738368\n== /sys/fs/cgroup/memory.current\n1048576\n"
        "== /sys/fs/cgroup/memory.swap.max\n0\n== /sys/fs/cgroup/cpu.max\n150000 100000\n"
        "== /sys/fs/cgroup/pids.max\nmax\n== /sys/fs/cgroup/pids.current\n7\n"
        "== /sys/fs/cgroup/cpuset.cpus.effective\n0-3\n"
    )
    assert cgroup.read(text) == Cgroup(32 << 30, 1 << 20, 32 << 30, 1.5, "0-3", None, 7)


def test_no_limits() -> None:
    text = "== /sys/fs/cgroup/memory.max\nmax\n== /sys/fs/cgroup/cpu.max\nmax 100000\n"
    assert cgroup.read(text) == Cgroup()
    first = "== /sys/fs/cgroup/memory/memory.limit_in_bytes\n9223372036854771712\n== /sys/fs/cgroup/cpu/cpu.cfs_quota_us\n-1\n"
    assert cgroup.read(first) == Cgroup()
    assert cgroup.read("") == Cgroup()


def test_version_1() -> None:
    text = (
        "== /sys/fs/cgroup/memory/memory.limit_in_bytes\n67108864\n"
        "== /sys/fs/cgroup/memory/memory.usage_in_bytes\n4096\n"
        "== /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes\n100663296\n"
        "== /sys/fs/cgroup/cpu/cpu.cfs_quota_us\n150000\n== /sys/fs/cgroup/cpu/cpu.cfs_period_us\n100000\n"
        "== /sys/fs/cgroup/pids/pids.max\n50\n== /sys/fs/cgroup/cpuset/cpuset.cpus\n0\n"
    )
    assert cgroup.read(text) == Cgroup(64 << 20, 4096, 96 << 20, 1.5, "0", 50, None)
