"""The questions that nvidia-docker 1 asks of docker. They go to the docker of NV_DOCKER, DOCKER_HOST and docker's own
configuration; options on the command line (-H) are, as with nvidia-docker 1, for the final command alone.
"""

from collections.abc import Callable
from typing import NamedTuple

from gpudock import proc
from gpudock.compat.v1_error import V1Error
from gpudock.plan.quote import quote

_ABSENT = "<no value>"  # a missing label, as some versions print it
_SHOWN = 600  # characters of docker's own message


class Docker(NamedTuple):
    words: tuple[str, ...]
    run: proc.Runner
    show: Callable[[tuple[str, ...]], int]  # runs while its output is shown; returns the exit code

    def client_version(self) -> str:
        """Raises V1Error when there is no docker, or none that answers."""
        return self._asked("version", "--format", "{{.Client.Version}}")

    def label(self, image: str, name: str) -> str:
        """The value of an image's label, "" when it has none."""
        found = self._asked("inspect", f'--format={{{{index .Config.Labels "{name}"}}}}', image).strip(" \n")
        return "" if found == _ABSENT else found

    def fetch(self, image: str) -> None:
        """Pull an image that is not here."""
        if self._run("inspect", "--type=image", image).ok:
            return
        if self.show((*self.words, "pull", image)):
            raise V1Error("failed to run docker command", why=f"{quote(image)} cannot be pulled, see above")

    def has_volume(self, name: str) -> bool:
        return self._run("volume", "inspect", name).ok

    def _run(self, *words: str) -> proc.Result:
        return self.run(proc.Command((*self.words, *words)))

    def _asked(self, *words: str) -> str:
        result = self._run(*words)
        if result.ok:
            return result.out
        if result.code == proc.NOT_FOUND:
            raise V1Error("failed to run docker command", why=quote(result.err.strip(), _SHOWN))
        text = " ".join(result.err.split()).removeprefix("Error: ")
        raise V1Error(quote(text, _SHOWN) if text else "failed to run docker command")
