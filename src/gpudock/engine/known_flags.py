"""The flags with a value of docker 20 to 28 and podman 4 to 5. Nothing depends on a flag being here but this: after one
that is not, the word taken for the image may be something else.
"""

from gpudock.engine.flags import BOOLEAN, SHORT, SHORT_BOOLEAN, Arguments

_BOTH = """
add-host annotation attach blkio-weight blkio-weight-device cap-add cap-drop cgroup-parent cgroupns cidfile cpu-period
cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares cpus cpuset-cpus cpuset-mems detach-keys device device-cgroup-rule
device-read-bps device-read-iops device-write-bps device-write-iops dns dns-opt dns-option dns-search entrypoint env
env-file expose group-add health-cmd health-interval health-retries health-start-period health-timeout hostname ip ip6
ipc label label-file link-local-ip log-driver log-opt mac-address memory memory-reservation memory-swap
memory-swappiness mount name net network network-alias oom-score-adj pid pids-limit platform publish pull restart
runtime security-opt shm-size stop-signal stop-timeout storage-opt sysctl tmpfs ulimit user userns uts volume
volumes-from workdir
"""
_DOCKER = """
cpu-count cpu-percent domainname health-start-interval io-maxbandwidth io-maxiops isolation kernel-memory link net-alias
volume-driver
"""
_PODMAN = """
arch authfile cert-dir cgroup-conf cgroups chrootdirs conmon-pidfile creds decryption-key env-merge gidmap gpus
group-entry health-log-destination health-max-log-count health-max-log-size health-on-failure health-startup-cmd
health-startup-interval health-startup-retries health-startup-success health-startup-timeout healthcheck-command
healthcheck-interval healthcheck-retries healthcheck-start-period healthcheck-timeout hosts-file hostuser image-volume
init-ctr init-path os passwd-entry personality pidfile pod pod-id-file preserve-fd preserve-fds rdt-class requires retry
retry-delay sdnotify seccomp-policy secret shm-size-systemd signature-policy subgidname subuidname systemd timeout tz
uidmap umask unsetenv variant
"""
_SHORT = frozenset("acehlmpuvw")
_KNOWN = (
    BOOLEAN | SHORT_BOOLEAN | _SHORT | frozenset(SHORT.values()) | {*_BOTH.split(), *_DOCKER.split(), *_PODMAN.split()}
)


def unknown(arguments: Arguments) -> tuple[str, ...]:
    """The flags, as they are written, that neither engine has."""
    names = [name for name in arguments.values if name and name not in _KNOWN]
    return tuple(("-" if len(name) == 1 else "--") + name for name in names)
