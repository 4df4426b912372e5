"""Plans carried out on this machine: by the very script that other machines get, a step at a time.

What was begun and finished is noted by the script itself below STATE, so that a later run goes on, whatever ended this
one, and `undo` knows what was done here and what had been there before.
"""

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from typing import NamedTuple

from gpudock import proc, publish
from gpudock.errors import HostError, RefusedError

STATE = "/var/lib/gpudock/install"
REBOOT = 75
Attached = Callable[[tuple[str, ...], Mapping[str, str]], int]  # runs with this process's own output; the exit code
SHELL = "/bin/sh"
WRAPPER = """\
#!/bin/sh
exec {python} -P -m gpudock "$@"
"""


class Step(NamedTuple):
    """Of a script that is kept: what it says of its steps."""

    id: str
    title: str


class Installation(NamedTuple):
    """`program`: the gpudock that the steps call."""

    state: str
    program: str
    run: proc.Runner = proc.run
    attached: Attached = proc.attached

    @property
    def script(self) -> str:
        return f"{self.state}/plan.sh"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "GPUDOCK_INSTALL_STATE": self.state, "GPUDOCK": self.program}

    def keep(self, script: str) -> None:
        """The script's place is the state folder: a later run and `undo` use this one."""
        _only_root(self.state)
        publish.write(self.program, WRAPPER.format(python=shlex.quote(sys.executable)).encode(), 0o700)
        publish.write(self.script, script.encode(), 0o700)

    def steps(self) -> tuple[Step, ...]:
        """Raises RefusedError when nothing was ever installed from here."""
        if not os.path.exists(self.script):
            why = f"there is no {self.script}"
            raise RefusedError("gpudock has installed nothing here.", why=why, mend="sudo gpudock install")
        _only_root(self.state)
        answer = self.run(proc.Command((SHELL, self.script, "list"), env=self.environment))
        if not answer.ok:
            raise HostError(f"{self.script} cannot be read.", why=answer.err.strip()[-200:])
        return tuple(Step(*line.split("\t", 1)) for line in answer.out.splitlines())

    def finished(self) -> frozenset[str]:
        return self._marks("finished")

    def begun(self) -> frozenset[str]:
        return self._marks("begun")

    def _marks(self, kind: str) -> frozenset[str]:
        try:
            names = os.listdir(f"{self.state}/{kind}")
        except FileNotFoundError:
            return frozenset()
        return frozenset(name for name in names if not name.endswith(".gpudock-new"))

    def make(self, *, variables: Mapping[str, str] | None = None) -> None:
        """Each step that is not done. Raises Reboot, and HostError for a step that failed: it has said why."""
        for step in self.steps():
            code = self.attached((SHELL, self.script, "step", step.id), {**self.environment, **(variables or {})})
            if code == REBOOT:
                raise Reboot
            if code:
                raise HostError(
                    f"The step '{step.title}' failed.",
                    why=f"exit code {code}; what it said stands above",
                    mend="mend that, then: sudo gpudock install --resume (it goes on there); sudo gpudock uninstall",
                )

    def undo(self, *, purge: bool = False) -> None:
        """The last step first. Raises HostError for a step that failed; a later run goes on there."""
        for step in reversed(self.steps()):
            if step.id not in self.begun():
                continue
            variables = {**self.environment, "PURGE_DATA": "yes" if purge else "no"}
            code = self.attached((SHELL, self.script, "undo", step.id), variables)
            if code:
                why = f"exit code {code}; what it said stands above"
                raise HostError(f"'{step.title}' could not be taken back.", why=why, mend="mend that, and run it again")

    def forget(self) -> None:
        """After everything was taken back."""
        if not self.begun():
            shutil.rmtree(self.state, ignore_errors=True)


class Reboot(Exception):  # noqa: N818  no error: the plan goes on after it
    """The machine has to be rebooted; then the same command goes on."""


def _only_root(state: str) -> None:
    problem = publish.insecure(state)
    if problem:
        raise RefusedError(f"{state} cannot be trusted.", why=problem, mend="let only root write there")


def looked(here: Installation, script: str) -> str:
    """What the script's own checks say of each step."""
    with tempfile.TemporaryDirectory(prefix="gpudock-") as folder:
        path = f"{folder}/plan.sh"
        publish.write(path, script.encode(), 0o700)
        answer = here.run(proc.Command((SHELL, path, "check"), timeout=120, env=here.environment))
    return answer.err


def own_program(state: str) -> str:
    """A program that is this very gpudock, for the steps to call; written when they are."""
    return f"{state}/gpudock"
