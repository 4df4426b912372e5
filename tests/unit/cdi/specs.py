"""Plans for the tests of this room, compiled from machines whose driver is a fact without files."""

from gpudock.cdi.project import Options
from gpudock.facts.driver import DriverFile, DriverFiles, Elf, Socket
from gpudock.facts.gpu import DeviceNode
from gpudock.gpu.compile import compile_plan
from gpudock.plan.document import Plan
from unit.machines import VERSION, snapshot

HOOK = (
    "/usr/bin/python3",
    "python3",
    "-I",
    "/usr/libexec/gpudock/current/hook.py",
    "--plan",
    "/run/gpudock/plans/1.json",
)
OPTIONS = Options(hook=HOOK)


def plan(
    gpus: int = 2, mig: dict[int, int] | None = None, *, nodes: tuple[DeviceNode, ...] = (), wsl: bool = False
) -> Plan:
    library = DriverFile(
        role="library",
        name=f"libcuda.so.{VERSION}",
        path=f"/usr/lib/libcuda.so.{VERSION}",
        host=f"/usr/lib/libcuda.so.{VERSION}",
        size=1,
        mtime_ns=1,
        inode=1,
        mode=0o644,
        version=VERSION,
        elf=Elf(soname="libcuda.so.1", bits=64, machine=62, cache_flags=0x0303),
    )
    driver = DriverFiles(
        root="/",
        version=VERSION,
        files=(library,),
        sockets=(Socket(path="/run/nvidia-persistenced", host="/run/nvidia-persistenced", is_folder=True),),
    )
    machine = snapshot(driver, gpus=gpus, mig=mig, nodes=nodes, wsl=wsl)
    return compile_plan(machine, trees="/var/lib/gpudock/driver").plan
