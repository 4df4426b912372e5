"""The simulated machine as JSON (simulated.json), and made from a few words: how many of which GPU, which driver."""

import uuid
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from gpudock.errors import InputError, UsageError
from gpudock.testing.simulate import models
from gpudock.testing.simulate.machine import MIG_BRANCH, Description, Gpu, Instance, Process

FORMAT = 1
_LIMIT = 4 << 20  # bytes: 32 GPUs with all that they can hold stay far below
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "gpudock.testing.simulate")
_COMPUTE_SLICES, _MEMORY_EIGHTHS = 7, 8
PARTITIONED_EMPTY = "none"


class _Header(msgspec.Struct):
    version: int


def encode(description: Description) -> bytes:
    """Readable JSON; the same description gives the same bytes."""
    return msgspec.json.format(msgspec.json.encode(description, order="deterministic"), indent=2) + b"\n"


def decode(data: bytes) -> Description:
    """The description in `data`. Raises InputError that says what is wrong with it, and where."""
    if len(data) > _LIMIT:
        raise InputError("The simulation description is too large.", why=f"{len(data)} bytes, limit {_LIMIT}")
    try:
        version = msgspec.json.decode(data, type=_Header).version
        if version != FORMAT:
            raise InputError(
                f"The simulation description has version {version}; this gpudock reads version {FORMAT}.",
                mend="use the gpudock that wrote it, or make it again with 'gpudock simulate'",
            )
        description = msgspec.json.decode(data, type=Description)
    except msgspec.ValidationError as error:
        raise InputError("The simulation description is wrong.", why=str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError("The simulation description is not JSON.", why=str(error)) from error
    for contradiction in _contradictions(description):
        raise InputError("The simulation description contradicts itself.", why=contradiction)
    return description


def _contradictions(description: Description) -> Iterator[str]:
    gpus = description.gpus
    unique = [
        *(f"UUID {name}" for gpu in gpus for name in (gpu.uuid, *(each.uuid for each in gpu.instances))),
        *(f"bus id {gpu.bus_id}" for gpu in gpus),
        *(f"minor {gpu.minor}" for gpu in gpus),
        *(f"major {major}" for major in msgspec.structs.astuple(description.majors)),
    ]
    for what, times in Counter(unique).items():
        if times > 1:
            yield f"{what} is given {times} times"
    for index, gpu in enumerate(gpus):
        yield from (f"GPU {index}: {what}" for what in _gpu_contradictions(gpu, description.branch))


def _gpu_contradictions(gpu: Gpu, branch: int) -> Iterator[str]:
    if gpu.instances and gpu.mig != "enabled":
        yield f"it has MIG instances, but MIG is {gpu.mig}"
    if gpu.mig == "enabled" and branch < MIG_BRANCH:
        yield f"MIG is enabled, but driver branch {branch} does not know MIG (first: {MIG_BRANCH})"
    for place, times in Counter((instance.gi, instance.ci) for instance in gpu.instances).items():
        if times > 1:
            yield f"instance {place[0]}/{place[1]} is given {times} times"
    for instance in gpu.instances:
        if _used(instance.processes) > instance.memory:
            yield f"the processes of instance {instance.gi}/{instance.ci} use more memory than it has"
    everybody = [*gpu.processes, *(process for instance in gpu.instances for process in instance.processes)]
    if gpu.reserved + _used(everybody) > gpu.memory:
        yield "its processes and its driver use more memory than it has"


def _used(processes: tuple[Process, ...] | list[Process]) -> int:
    return sum(process.used_memory or 0 for process in processes)


def make(count: int, model: str, driver: str, mig: Sequence[str] = ()) -> Description:
    """`count` (0 to 32) GPUs of `model` (a key of models.MODELS) under `driver` ("580.159.04"). Raises UsageError.

    `mig` has one layout per GPU from the first on: "3g.71gb,1g.18gb"; "none" is MIG mode without an instance, "" is
    MIG mode off. The same arguments always give the same value, UUIDs included.
    """
    chosen = _model(model)
    branch = _branch(driver, chosen)
    if not 0 <= count <= 32:
        raise UsageError(f"{count} GPUs cannot be simulated.", mend="ask for 0 to 32")
    if len(mig) > count:
        raise UsageError(f"{len(mig)} MIG layouts are given for {count} GPUs.", mend="give at most one for each GPU")
    layouts = [*mig, *[""] * (count - len(mig))]
    return Description(
        version=FORMAT,
        driver=driver,
        cuda=models.cuda_version(branch),
        gpus=tuple(_gpu(chosen, index, branch, layout) for index, layout in enumerate(layouts)),
    )


def _model(key: str) -> models.Model:
    found = models.MODELS.get(key.upper())
    if found is None:
        raise UsageError(f"No GPU model is called {key!r}.", mend="choose one of " + ", ".join(models.MODELS))
    return found


def _branch(driver: str, model: models.Model) -> int:
    branch = models.branch_of(driver)
    if branch < model.first_branch:
        raise UsageError(f"Driver {driver} is too old for the {model.key}.", why=f"its first is {model.first_branch}")
    if model.last_branch is not None and branch >= model.last_branch + 10:
        raise UsageError(f"Driver {driver} is too new for the {model.key}.", why=f"its last is {model.last_branch}")
    return branch


def _gpu(model: models.Model, index: int, branch: int, layout: str) -> Gpu:
    supports_mig = bool(model.profiles) and branch >= MIG_BRANCH
    if layout and not supports_mig:
        raise UsageError(f"The {model.key} with driver branch {branch} has no MIG.", mend="leave the MIG layout out")
    return Gpu(
        name=model.name_in(branch),
        uuid=f"GPU-{uuid.uuid5(_NAMESPACE, f'{model.key}/{index}')}",
        bus_id=f"0000:{0x03 + 7 * index:02x}:00.0",
        minor=index,
        memory=model.memory << 20,
        reserved=model.reserved << 20,
        compute_capability=model.compute_capability,
        brand=model.brand_in(branch),
        pci_device=model.pci_device,
        pci_subsystem=model.pci_subsystem,
        multiprocessors=model.multiprocessors,
        mig="enabled" if layout else "disabled" if supports_mig else "unsupported",
        instances=_instances(model, index, layout),
        power=model.power_limit * 125,  # an idle card draws about an eighth
        power_limit=model.power_limit * 1000,
    )


def _instances(model: models.Model, index: int, layout: str) -> tuple[Instance, ...]:
    if layout in {"", PARTITIONED_EMPTY}:
        return ()
    known = {profile.name: profile for profile in model.profiles}
    names = layout.split(",")
    for name in names:
        if name not in known:
            raise UsageError(f"The {model.key} has no MIG profile {name!r}.", mend="choose from " + ", ".join(known))
    wanted = [known[name] for name in names]
    if (
        sum(profile.slices for profile in wanted) > _COMPUTE_SLICES
        or sum(profile.eighths for profile in wanted) > _MEMORY_EIGHTHS
        or sum(profile.ofas for profile in wanted) > 1
    ):
        raise UsageError(
            f"The MIG layout {layout} does not fit on one {model.key}.",
            why="a GPU has 7 compute slices, 8 memory slices and one set of media extensions",
        )
    taken: set[int] = set()
    found: list[Instance] = []
    for profile in wanted:
        gi = next(number for number in range(profile.first_gi, 15) if number not in taken)
        taken.add(gi)
        found.append(_instance(model, index, profile, gi))
    return tuple(sorted(found, key=lambda instance: instance.gi))  # NVML counts them in this order


def _instance(model: models.Model, index: int, profile: models.Profile, gi: int) -> Instance:
    return Instance(
        gi=gi,
        ci=0,
        profile=profile.name,
        uuid=f"MIG-{uuid.uuid5(_NAMESPACE, f'{model.key}/{index}/{gi}/0/{profile.name}')}",
        memory=profile.memory << 20,
        multiprocessors=profile.multiprocessors,
        copy_engines=profile.copy_engines,
        decoders=profile.decoders,
        jpegs=profile.jpegs,
        ofas=profile.ofas,
        gi_slices=profile.slices,
        ci_slices=profile.slices,
    )
