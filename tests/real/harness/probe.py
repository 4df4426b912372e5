"""What /probe in an image says, as values."""

from dataclasses import dataclass

from real.harness.engines import Engine


@dataclass(frozen=True)
class Library:
    """found: where the loader found it; real: the same without links; error: the loader's words if it did not."""

    found: str = ""
    real: str = ""
    error: str = ""

    @property
    def ok(self) -> bool:
        return not self.error


def libraries(engine: Engine, image: str, *names: str, options: tuple[str, ...] = ()) -> dict[str, Library]:
    """dlopen of each name in a fresh container; options go before the image."""
    return read_libraries(_run(engine, image, names, options))


def facts(engine: Engine, image: str, *flags: str, options: tuple[str, ...] = ()) -> dict[str, str]:
    """Answers to --nvml and --cuda in a fresh container: {"nvml.driver": "550.163.01", "nvml.count": "2", ...}."""
    return read_facts(_run(engine, image, flags, options))


def read_libraries(output: str) -> dict[str, Library]:
    read: dict[str, Library] = {}
    for line in output.splitlines():
        name, verdict, rest = line.split(" ", 2)
        if verdict == "ok":
            found, _, real = rest.partition(" ")
            read[name] = Library(found=found, real=real)
        else:
            assert verdict == "fail", line
            read[name] = Library(error=rest)
    return read


def read_facts(output: str) -> dict[str, str]:
    return dict(line.split(" ", 1) for line in output.splitlines())


def _run(engine: Engine, image: str, arguments: tuple[str, ...], options: tuple[str, ...]) -> str:
    return engine.run("run", "--rm", "--network", "none", *options, image, "/probe", *arguments).stdout
