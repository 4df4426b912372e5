"""What the surfaces are given: where samples come from and what is remembered of them."""

from typing import Literal, Protocol

from gpudock.facts.base import Missing
from gpudock.monitor.sample import Part, Sample

By = Literal["user", "container", "env", "gpu", "day"]
Metric = Literal["utilization", "memory", "power", "temperature", "held"]
# What a series is of: "gpu" has all metrics; "user", "container" and "env" have utilization, memory and held.
Subject = Literal["gpu", "user", "container", "env"]


class Series(Part, frozen=True):
    """One line of a chart. A value is None where nothing was recorded."""

    key: str  # GPU: its UUID; user and env: the name; container: the id
    label: str  # what a person calls it
    values: tuple[float | None, ...]  # as many as Chart.times


class Chart(Part, frozen=True):
    """Units as in a Sample: per cent, bytes, watts, degrees Celsius; held: GPUs."""

    metric: Metric
    subject: Subject
    step: float  # seconds between two times
    times: tuple[float, ...]
    series: tuple[Series, ...]


class UsageRow(Part, frozen=True):
    """GPU-seconds of one user, container, environment, GPU or day (of local time, "2026-11-30")."""

    key: str
    label: str
    held: float  # a process was on the GPU, whatever it did; a MIG instance is a part of one, by its slices
    used: float | Missing  # multiprocessors busy: an hour at 25 % is a quarter of an hour
    energy: float | Missing  # joules, shared among those on a GPU by what they used of it
    gpus: int  # how many different ones
    first: float  # Unix time
    last: float


class Usage(Part, frozen=True):
    by: By
    since: float
    until: float
    recorded_since: float | None  # the oldest that is remembered; None: nothing is
    rows: tuple[UsageRow, ...]  # the most held first; days in order


class Source(Protocol):
    """Samples. All methods may be called from any thread and never wait for the driver."""

    def latest(self) -> Sample:
        """The newest, with its age as of now. Before the first look it is one without GPUs that says so."""

    def wait(self, after: int, timeout: float) -> Sample:
        """The newest as soon as its number is not `after`, at the latest after `timeout` seconds."""


class History(Protocol):
    """What is remembered. Methods read a database: call them in a thread."""

    def chart(self, metric: Metric, subject: Subject, since: float, until: float, points: int = 300) -> Chart:
        """At most `points` times and the twenty series that have most."""

    def usage(self, by: By, since: float, until: float) -> Usage: ...
