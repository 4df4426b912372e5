"""Whether a machine runs a CUDA version and code compiled for some GPUs: the version rules. Pure."""

from collections.abc import Iterable, Iterator

from gpudock.env.choose.machine import Machine
from gpudock.env.choose.tables import Cuda, Framework
from gpudock.gpu.cuda import numbers, without_code


def oldest_driver(cuda: str, tables: Cuda) -> str:
    """Of any version of the major: minor versions of CUDA are compatible with it. "" when it is not known."""
    major = cuda.partition(".")[0]
    if major in tables.families:
        return tables.families[major]
    return full_driver(cuda, tables)


def full_driver(cuda: str, tables: Cuda) -> str:
    """With all features of the version; "" when it is not known."""
    return tables.toolkits.get(".".join(cuda.split(".")[:2]), "")


def all_features(cuda: str, machine: Machine, tables: Cuda) -> bool:
    driver = full_driver(cuda, tables)
    return not machine.driver or not driver or numbers(machine.driver) >= numbers(driver)


def problems(cuda: str, architectures: Iterable[str], machine: Machine, tables: Cuda) -> Iterator[str]:
    """Why this machine does not run it: each GPU counts, not only the best."""
    oldest = oldest_driver(cuda, tables)
    if machine.driver and oldest and numbers(machine.driver) < numbers(oldest):
        yield f"CUDA {cuda} needs driver {oldest} or newer, and {machine.driver} is loaded"
    compiled = tuple(architectures)
    for name, capability in dict.fromkeys(machine.gpus):
        if compiled and not runs(capability, compiled):
            yield f"it holds no code for {name} (compute capability {capability}), only for {', '.join(compiled)}"
        elif not compiled and (why := without_code(cuda, name, capability, tables.lowest, tables.first)):
            yield why


def runs(capability: str, compiled: Iterable[str]) -> bool:
    """Code of a lower minor of the same major runs, and PTX on all that is later."""
    own = numbers(capability)
    for each in compiled:
        version, _, ptx = each.partition("+")
        code = numbers(version)
        if (code[0] == own[0] and code <= own) or (ptx and code <= own):
            return True
    return False


def compiled(framework: Framework, version: str, cuda: str, machine: str) -> tuple[str, ...]:
    """The GPUs that a framework's wheels hold code for; () when it is not known."""
    short = numbers(version)[:2]
    for each in framework.compiled:
        low, high = map(numbers, each.versions)
        if (framework.any_version or low <= short <= high) and cuda in each.cuda and machine == each.machine:
            return each.architectures
    return ()
