"""Each service, what it asks for, and what it gets."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from gpudock.compat.compose import plugin, reach, style
from gpudock.compat.compose.ask import Ask, ask, located
from gpudock.compat.compose.change import Gift
from gpudock.compat.compose.project import Project
from gpudock.compat.compose.service import View, views
from gpudock.engine import advice
from gpudock.engine.offer import Chosen
from gpudock.errors import GpudockError, RefusedError
from gpudock.plan import environment, requirement
from gpudock.plan.document import MOUNT_POINT
from gpudock.plan.quote import count, quote
from gpudock.plan.request import Request

_BLIND = (
    f"service {{}}: its image does not look for the driver where the volume is; give it the variable "
    f"LD_LIBRARY_PATH={MOUNT_POINT}/lib64:{MOUNT_POINT}/lib"
)


class Given(NamedTuple):
    gift: Gift
    says: str  # for --check: which GPUs, how
    notes: tuple[str, ...] = ()
    uuids: tuple[str, ...] = ()
    as_is: bool = False  # the file asks in the engine's own words already


Giver = Callable[[View, Ask], Given]


class Served(NamedTuple):
    view: View
    ask: Ask
    given: Given | None = None  # None: it gets no GPU
    problem: GpudockError | None = None  # why not, of a service that is not started now


def served(
    found: Project, give: Giver | None, default: Request | None, started: Callable[[View], bool]
) -> tuple[Served, ...]:
    """`give` None: nobody is asked for GPUs now. Raises GpudockError for a service that is to be started."""
    every = []
    for view in views(found):
        wish = ask(view, default)
        if wish.request is None or give is None:
            every.append(Served(view, wish))
            continue
        try:
            every.append(Served(view, wish, give(view, wish)))
        except GpudockError as error:
            problem = located(error, view, wish.how)
            if started(view):
                raise problem from error
            every.append(Served(view, wish, problem=problem))
    return tuple(every)


def profiles(named: tuple[str, ...], variables: Mapping[str, str], words: tuple[str, ...]) -> Callable[[View], bool]:
    """Whether a service is started: it has no profile, an active one, or is named after the command."""
    active = {*named, *(each.strip() for each in variables.get("COMPOSE_PROFILES", "").split(",") if each.strip())}

    def started(view: View) -> bool:
        own = [str(each) for each in view.values.get("profiles", [])]
        return not own or "*" in active or bool(active & set(own)) or view.name in words[1:]

    return started


class ByEngine:
    """What the engine understands, of the GPUs that its machine has."""

    def __init__(self, engine: reach.Engine, gpus: reach.Gpus, way: style.Way, tools: reach.Tools) -> None:
        self._engine = engine
        self._gpus = gpus
        self._way = way
        self._tools = tools

    def __call__(self, view: View, wish: Ask) -> Given:
        assert wish.request is not None
        variables, labels, here = self._image(view)
        wanted = wish.request.capabilities or environment.driver_capabilities(variables)
        named = self._way.style == style.CDI
        chosen = reach.chosen(self._gpus, wish, wanted, self._tools, named=named)
        requirement.check(requirement.from_environment(variables)[0], chosen.properties)
        notes = tuple(f"service {view.name}: {note}" for note in _notes(view, chosen, labels))
        if self._way.style == style.VOLUME:
            looks = MOUNT_POINT in variables.get("LD_LIBRARY_PATH", "")
            blind = (_BLIND.format(view.name),) if here and not looks else ()
            return self._volume(wish, chosen, (*notes, *blind))
        stated = wish.request.capabilities is not None or environment.CAPABILITIES in view.environment
        gift = style.gift(self._way, chosen, wanted, stated=stated)
        own = view.values.get("runtime")
        as_is = wish.how == "runtime" and self._way.style == style.RUNTIME and own in self._engine.answer.runtimes
        unseen = "" if here else "; the image is not here, so what it requires was not looked at"
        return Given(gift, _says(chosen, wanted) + unseen, notes, chosen.uuids, as_is)

    def _image(self, view: View) -> tuple[dict[str, str], dict[str, str], bool]:
        """What the container's variables will be, the image's labels, and whether the image is here."""
        name = view.values.get("image")
        found = reach.image(self._engine, name, self._tools) if isinstance(name, str) and name else None
        image = found.environment if found else {}
        return {**image, **view.environment}, found.labels if found else {}, found is not None

    def _volume(self, wish: Ask, chosen: Chosen, notes: tuple[str, ...]) -> Given:
        plan = self._gpus.plan
        if plan is None:
            needs = plugin.needs(plugin.ADDRESS, () if chosen.everything else chosen.visible)
        else:
            needs = style.plan_needs(plan, chosen.uuids)
        gift = style.volume_gift(needs, named=bool(wish.nodes))
        return Given(gift, ", ".join((*gift.devices, *gift.volumes)), notes, chosen.uuids)


def by_plugin(address: str, ask_plugin: plugin.Fetch = plugin.fetch) -> Giver:
    """What nvidia-docker 1's plugin says, as nvidia-docker-compose did."""

    def give(view: View, wish: Ask) -> Given:
        assert wish.request is not None, view.name
        devices = wish.request.devices
        if wish.nodes:
            needs = plugin.needs(address, ask=ask_plugin)
        else:
            wanted = _first(devices, plugin.needs(address, ask=ask_plugin)) if isinstance(devices, int) else devices
            needs = plugin.needs(address, wanted if isinstance(wanted, tuple) else (), ask=ask_plugin)
        gift = style.volume_gift(needs, named=bool(wish.nodes))
        return Given(gift, ", ".join((*gift.devices, *gift.volumes)))

    return give


def _first(number: int, every: plugin.Needs) -> tuple[str, ...]:
    """The first GPUs by index, as nvidia-docker 1's plugin is asked for them. Raises RefusedError."""
    if number > len(every.gpus):
        raise RefusedError(f"it asks for {count(number, 'GPU')}, and nvidia-docker-plugin has {len(every.gpus)}.")
    return tuple(map(str, range(number)))


def _says(chosen: Chosen, wanted: tuple[str, ...]) -> str:
    number = count(chosen.number, "GPU") if chosen.number > 0 else "GPUs"
    return f"{number} ({', '.join(chosen.uuids or chosen.visible)}) with {','.join(wanted)}"


def _notes(view: View, chosen: Chosen, labels: dict[str, str]) -> Iterator[str]:
    yield from chosen.notes
    privileged = view.values.get("privileged")
    for warning in (
        advice.cuda_version(labels, chosen),
        advice.cuda_visible(view.environment.get(advice.CUDA_VISIBLE), chosen),
        advice.privileged("true" if privileged in {True, "true"} else None, chosen),
    ):
        if warning:
            yield warning


def unused(every: tuple[Served, ...], then: str = "; it is not started now, and gets no GPU") -> Iterator[str]:
    """Pitfalls of the files themselves. `then`: what follows where a service cannot get its GPUs."""
    for each in every:
        if each.problem is not None:
            yield f"{each.problem}{then}"
        value = each.view.environment.get("NVIDIA_VISIBLE_DEVICES", "")
        if not each.ask.how and value not in {"", "void", "none"}:
            yield (
                f"{each.view.at('environment')}: service {each.view.name} sets NVIDIA_VISIBLE_DEVICES={quote(value)} "
                "but asks for no GPU: that counts under a runtime for GPUs only. Write gpus: all, or a number."
            )
    users: dict[str, list[str]] = {}
    for each in every:
        counted = each.ask.request is not None and isinstance(each.ask.request.devices, int)
        if each.given is not None and counted:
            for uuid in each.given.uuids:
                users.setdefault(uuid, []).append(each.view.name)
    for uuid, names in users.items():
        if len(names) > 1:
            yield f"GPU {uuid} goes to {', '.join(names)}: a number counts from the first GPU, for each service anew."
