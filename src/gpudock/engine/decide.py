"""Facts and wishes in, the engine's command line or an error out. Pure."""

from collections.abc import Iterator

from gpudock.engine import advice
from gpudock.engine.base import KIND, Answer, Client, Decision, Mechanism, Wish, plain
from gpudock.engine.image import Image
from gpudock.engine.offer import Chosen, Offer
from gpudock.errors import UsageError
from gpudock.plan import environment, requirement
from gpudock.plan.quote import quote
from gpudock.plan.request import VISIBLE_DEVICES

RUNTIMES = ("gpudock", "nvidia")  # best first


def mechanism(client: Client, answer: Answer, wish: Wish) -> Mechanism:
    """The best way to give a container GPUs that this engine has. Raises EngineError and UsageError."""
    if answer.cdi:
        _no_other_devices(wish)
        return Mechanism()
    runtime = next((name for name in RUNTIMES if name in answer.runtimes), None)
    if runtime is None:
        raise client.without_mechanism(answer)
    asked = wish.arguments.last("runtime")
    if asked in RUNTIMES and asked in answer.runtimes:
        runtime = asked
    elif asked is not None:
        raise UsageError(
            f"--runtime {quote(asked)} cannot be combined with --gpus here.",
            why=f"this {client.name} gives containers GPUs by its runtime {runtime}, and a container has one runtime",
            mend="leave --runtime out, or use an engine with CDI (docker 25 or newer, podman 4.1 or newer)",
        )
    return Mechanism(runtime)


def _no_other_devices(wish: Wish) -> None:
    """Two drivers at one place in the container: the second mount would hide the first."""
    given = [name for value in wish.arguments.values.get("device", ()) for name in value.split(",")]
    twice = [name for name in given if name.startswith(KIND + "=")]
    if twice:
        raise UsageError(
            "GPUs are asked for twice.",
            why=f"by --gpus and by --device {quote(twice[0])}",
            mend="leave one of the two out; --gpus takes the same names: --gpus device=" + twice[0].partition("=")[2],
        )


def decide(client: Client, answer: Answer, wish: Wish, image: Image | None, offer: Offer) -> Decision:
    """What to start, and what to say before. `image`: None when it is not here. Raises GpudockError."""
    way = mechanism(client, answer, wish)
    variables = in_container(wish, image)
    wanted = wish.request.capabilities or environment.driver_capabilities(variables)
    chosen = offer.choose(wish.request, wanted, named=way.runtime is None)
    requirement.check(requirement.from_environment(variables)[0], chosen.properties)
    arguments = wish.arguments
    flags = (*arguments.flags, *_added(client, way, wish, chosen, wanted))
    notes = tuple(_notes(wish, image, chosen, offer))
    return Decision(plain(client, wish.verb, flags, arguments.rest), chosen, notes)


def _added(client: Client, way: Mechanism, wish: Wish, chosen: Chosen, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """The words that ask this mechanism for the devices. They come last, so that they win over the user's own -e."""
    if way.runtime is None:
        devices = tuple(word for name in chosen.devices for word in ("--device", f"{KIND}={name}"))
        return (*client.beside_devices, *devices)
    given = wish.arguments.last("runtime")
    return (
        *(() if given else ("--runtime", way.runtime)),
        *("-e", f"{VISIBLE_DEVICES}={','.join(chosen.visible)}"),
        *("-e", f"{environment.CAPABILITIES}={','.join(wanted)}"),
    )


def in_container(wish: Wish, image: Image | None) -> dict[str, str]:
    """The image's variables, as the command line changes them."""
    variables: dict[str, str | None] = {**(image.environment if image else {}), **wish.environment}
    return {name: value for name, value in variables.items() if value is not None}


def _notes(wish: Wish, image: Image | None, chosen: Chosen, offer: Offer) -> Iterator[str]:
    if offer.simulated:
        yield "SIMULATED GPUs: programs find a driver, but nothing computes."
    variables = in_container(wish, image)
    requirements, notes = requirement.from_environment(variables)
    yield from notes
    if requirements and not chosen.known:
        names = ", ".join(quote(name) for name in sorted(requirements))
        yield f"{names} of the image was not fully checked: the driver does not tell its version of itself and of CUDA."
    if image is None:
        yield f"{quote(wish.arguments.image)} is not here, so what it requires of the driver was not looked at."
    yield from chosen.notes
    for warning in (
        advice.cuda_version(image.labels if image else {}, chosen),
        advice.cuda_visible(wish.environment.get(advice.CUDA_VISIBLE), chosen),
        advice.privileged(wish.arguments.last("privileged"), chosen),
    ):
        if warning:
            yield warning
