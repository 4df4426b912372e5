"""Names of Kubernetes pods: the kubelet keeps a folder of logs for each, which says them. No API server is asked."""

import re
import time

from gpudock.engine.containers import Container
from gpudock.host.root import Root
from gpudock.monitor.cgroup import Place
from gpudock.monitor.owner import text
from gpudock.monitor.sample import Pod

AGAIN = 10.0  # seconds until an unknown pod is looked for again
_FOLDER = re.compile(r"^([a-z0-9.-]{1,63})_([a-z0-9.-]{1,253})_([0-9a-f-]{32,36})$")
_LINK = re.compile(r"^([a-z0-9.-]{1,253})_([a-z0-9.-]{1,63})_([a-z0-9-]{1,63})-([0-9a-f]{64})\.log$")


class Pods:
    def __init__(self, root: Root) -> None:
        self._root = root
        self._until = 0.0
        self._pods: dict[str, tuple[str, str]] = {}  # uid -> namespace, name
        self._containers: dict[str, str] = {}  # id -> name

    def pod(self, place: Place, container: Container | None) -> Pod | None:
        """Of a process in one; its names as far as they are known here."""
        uid = place.pod or text(container, "io.kubernetes.pod.uid")
        if not uid:
            return None
        if uid not in self._pods and time.monotonic() > self._until:
            self._read()
        namespace, name = self._pods.get(uid, ("", ""))
        return Pod(
            uid=uid,
            name=name or text(container, "io.kubernetes.pod.name"),
            namespace=namespace or text(container, "io.kubernetes.pod.namespace"),
            container=next((self._containers[each] for each in reversed(place.ids) if each in self._containers), "")
            or text(container, "io.kubernetes.container.name"),
        )

    def _read(self) -> None:
        self._until = time.monotonic() + AGAIN
        folders = (_FOLDER.match(name) for name in self._root.names("/var/log/pods"))
        self._pods = {match[3]: (match[1], match[2]) for match in folders if match}
        links = (_LINK.match(name) for name in self._root.names("/var/log/containers"))
        self._containers = {match[4]: match[3] for match in links if match}
