"""The framework's version, its CUDA, and what pip is asked for. Pure: recipe, machine and tables in, choice out."""

from collections.abc import Iterator
from typing import NamedTuple

from gpudock.env.choose import fitness
from gpudock.env.choose.machine import Machine
from gpudock.env.choose.tables import Framework, Row, Tables
from gpudock.env.recipe import Recipe
from gpudock.errors import RefusedError
from gpudock.gpu.cuda import numbers
from gpudock.plan.quote import quote

DEFAULT_PYTHON = "3.12"
_NONE = "none"


class Choice(NamedTuple):
    framework: str = ""  # "pytorch 2.12"
    cuda: str = ""  # "": none
    python: str = DEFAULT_PYTHON
    requirements: tuple[str, ...] = ()  # for pip
    pip: tuple[str, ...] = ()  # options for pip
    driver: str = ""  # the oldest
    architectures: tuple[str, ...] = ()  # of GPUs; (): not known
    notes: tuple[str, ...] = ()


class _Candidate(NamedTuple):
    row: Row
    cuda: str
    problems: tuple[str, ...]
    experimental: bool
    features: bool  # the driver has all of this CUDA's

    @property
    def text(self) -> str:
        return f"{self.row.version} with CUDA {self.cuda}"


def choose(recipe: Recipe, machine: Machine, tables: Tables) -> Choice:
    """Raises RefusedError for what cannot run on the machine, with the nearest that can."""
    if recipe.framework_name:
        return _framework(recipe, machine, tables)
    cuda = ".".join(recipe.cuda.split(".")[:2]) if recipe.cuda not in {"auto", _NONE} else of_image(recipe.base)
    python = recipe.python_version or DEFAULT_PYTHON
    if not cuda:
        return Choice(python=python)
    problems = tuple(fitness.problems(cuda, (), machine, tables.cuda))
    if problems:
        raise RefusedError(
            f"CUDA {cuda} does not run on this machine.",
            why="; ".join(problems),
            mend=_nearest_cuda(machine, tables) + f" The machine: {machine.describe()}",
        )
    notes = _notes(cuda, machine, tables)
    return Choice(cuda=cuda, python=python, driver=fitness.oldest_driver(cuda, tables.cuda), notes=notes)


def of_image(name: str) -> str:
    """The CUDA version that the tag of an nvidia/cuda image tells; "" for others."""
    repository, _, tag = name.rpartition(":")
    version = tag.partition("-")[0]
    known = repository.endswith("nvidia/cuda") and len(numbers(version)) >= 2
    return ".".join(map(str, numbers(version)[:2])) if known else ""


def _framework(recipe: Recipe, machine: Machine, tables: Tables) -> Choice:
    name, wished = recipe.framework_name, recipe.framework_version
    framework = tables.framework(name)
    if recipe.cuda == _NONE:
        return _without_cuda(recipe, framework)
    rows, notes = _rows(name, framework, wished, tables)
    everything = [each for row in framework.rows for each in _candidates(framework, row, machine, tables)]
    candidates = [each for row in rows for each in _candidates(framework, row, machine, tables)]
    if recipe.cuda != "auto":
        short = ".".join(recipe.cuda.split(".")[:2])
        candidates = [each for each in candidates if _same_cuda(framework, each.cuda, short)]
        if not candidates:
            there = sorted({each.cuda for row in rows for each in _candidates(framework, row, machine, tables)})
            raise RefusedError(
                f"There is no {name} {wished or rows[0].version} for CUDA {short}.",
                why=f"it comes with CUDA {', '.join(there)}",
                mend=_nearest(name, everything, recipe, machine),
            )
    python = recipe.python_version
    fitting = [each for each in candidates if not each.problems and _python_fits(each.row, python)]
    if not fitting:
        raise _impossible(name, candidates, everything, recipe, machine)
    best = fitting[0] if wished or framework.any_version else _newest(fitting)
    best = max((each for each in fitting if each.row == best.row), key=_preference)
    return _made(recipe, framework, best, machine, tables, notes=notes)


def _same_cuda(framework: Framework, cuda: str, wished: str) -> bool:
    """JAX's extras name a major version only."""
    return cuda == wished or (framework.any_version and cuda.partition(".")[0] == wished.partition(".")[0])


def _newest(fitting: list[_Candidate]) -> _Candidate:
    """The newest version that runs without experiments, if there is one."""
    return next((each for each in fitting if not each.experimental), fitting[0])


def _preference(one: _Candidate) -> tuple[bool, bool, int]:
    """Not experimental, all features of its CUDA, then the order of the table."""
    order = (*one.row.cuda, *one.row.experimental)
    return not one.experimental, one.features, -order.index(one.cuda)


def _rows(name: str, framework: Framework, wished: str, tables: Tables) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """The rows of a wished version. One that the table does not know is taken as the nearest known, and said."""
    if not wished or framework.any_version:
        return framework.rows, ()
    short = numbers(wished)[:2]
    found = tuple(row for row in framework.rows if numbers(row.version)[: len(short)] == short)
    if found:
        return found, ()
    newest, oldest = framework.rows[0], framework.rows[-1]
    near = newest if short > numbers(newest.version) else oldest
    if oldest.version != near.version and short < numbers(newest.version):
        near = min(framework.rows, key=lambda row: abs(numbers(row.version)[1] - short[-1]))
    note = f"{name} {wished} is not in the tables of {tables.date}: what holds for {near.version} is taken"
    return (near,), (note,)


def _candidates(framework: Framework, row: Row, machine: Machine, tables: Tables) -> Iterator[_Candidate]:
    for cuda in (*row.cuda, *row.experimental):
        code = fitness.compiled(framework, row.version, cuda, machine.machine)
        found = tuple(fitness.problems(cuda, code, machine, tables.cuda))
        features = fitness.all_features(cuda, machine, tables.cuda)
        yield _Candidate(row, cuda, found, cuda in row.experimental, features)


def _python_fits(row: Row, python: str | None) -> bool:
    if not python:
        return True
    low, high = map(numbers, row.python)
    return low <= numbers(python)[:2] <= high


def _impossible(
    name: str, candidates: list[_Candidate], everything: list[_Candidate], recipe: Recipe, machine: Machine
) -> RefusedError:
    wished = recipe.framework_version
    reasons = list(dict.fromkeys(each for one in candidates for each in one.problems))
    python = recipe.python_version
    if not reasons:
        rows = {one.row.version: one.row.python for one in candidates}
        reasons = [f"{name} {version} is for Python {low} to {high}" for version, (low, high) in rows.items()][:3]
    what = " ".join(filter(None, (name, wished, f"with CUDA {recipe.cuda}" * (recipe.cuda != "auto"))))
    return RefusedError(
        f"{what} does not run on this machine" + (f" with Python {python}." if python else "."),
        why="; ".join(reasons[:4]),
        mend=_nearest(name, everything, recipe, machine),
    )


def _nearest(name: str, everything: list[_Candidate], recipe: Recipe, machine: Machine) -> str:
    """The nearest versions that the machine can run, the newer first where two are as near."""
    possible = [each for each in everything if not each.problems and _python_fits(each.row, recipe.python_version)]
    wished = numbers(recipe.framework_version) or numbers(everything[0].row.version)

    def distance(one: _Candidate) -> tuple[int, bool]:
        major, minor = numbers(one.row.version)[:2]
        return abs((major - wished[0]) * 100 + minor - (wished[1] if len(wished) > 1 else 0)), one.experimental

    near = list(dict.fromkeys(f"{name} {each.text}" for each in sorted(possible, key=distance)))[:3]
    driver = " or a newer driver" if machine.driver else ""
    if not near:
        return f"nothing in the tables runs on it: {machine.describe()}; it needs another GPU{driver}"
    return f"possible here: {'; '.join(near)}. The machine: {machine.describe()}"


def _nearest_cuda(machine: Machine, tables: Tables) -> str:
    """The newest versions that run, first those that run with all their features."""
    fitting = [each for each in tables.cuda.toolkits if not tuple(fitness.problems(each, (), machine, tables.cuda))]
    best = sorted(
        fitting, key=lambda each: (fitness.all_features(each, machine, tables.cuda), numbers(each)), reverse=True
    )
    return f"possible here: CUDA {', '.join(best[:3])}." if best else "no CUDA in the tables runs on it."


def _without_cuda(recipe: Recipe, framework: Framework) -> Choice:
    wished = recipe.framework_version
    return Choice(
        framework=f"{recipe.framework_name} {wished}".strip(),
        python=recipe.python_version or DEFAULT_PYTHON,
        requirements=(framework.package + _pin(wished),),
        pip=(f"--extra-index-url={framework.none}",) if framework.none else (),
    )


def _pin(version: str) -> str:
    if not version:
        return ""
    return f"=={version}" if len(numbers(version)) > 2 else f"=={version}.*"


def _made(  # noqa: PLR0917  what was decided
    recipe: Recipe, framework: Framework, best: _Candidate, machine: Machine, tables: Tables, notes: tuple[str, ...]
) -> Choice:
    cuda = best.cuda
    version = recipe.framework_version or ("" if framework.any_version else best.row.version)
    extra = framework.extra.format(major=cuda.partition(".")[0])
    other = framework.index and cuda != best.row.default
    index = framework.index.format(digits=cuda.replace(".", ""))
    if best.experimental:
        notes = (*notes, f"{quote(best.text)} is experimental")
    return Choice(
        framework=f"{recipe.framework_name} {version}".strip(),
        cuda=cuda,
        python=recipe.python_version or _python(best.row),
        requirements=(framework.package + (f"[{extra}]" if extra else "") + _pin(version),),
        pip=(f"--extra-index-url={index}",) if other else (),
        driver=fitness.oldest_driver(cuda, tables.cuda),
        architectures=fitness.compiled(framework, best.row.version, cuda, machine.machine),
        notes=(*notes, *_notes(cuda, machine, tables)),
    )


def _python(row: Row) -> str:
    low, high = map(numbers, row.python)
    return DEFAULT_PYTHON if low <= numbers(DEFAULT_PYTHON) <= high else row.python[1]


def _notes(cuda: str, machine: Machine, tables: Tables) -> tuple[str, ...]:
    notes = []
    if not machine.driver:
        notes.append("no driver is loaded here: whether one runs it was not looked at; name a machine by --for")
    if not fitness.all_features(cuda, machine, tables.cuda):
        full = fitness.full_driver(cuda, tables.cuda)
        notes.append(f"CUDA {cuda} runs on driver {machine.driver}, with all its features from {full} on")
    return tuple(notes)
