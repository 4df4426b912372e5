"""What an environment's container runs: its services, started again when they end, and a shell to attach to.

A script for any /bin/sh. It comes into the container's memory together with the secrets, each time that it starts; the
container waits for it. SIGINT is set back for what it starts: a shell without job control has it ignored, and then
neither Ctrl-C nor a notebook's "interrupt" works.
"""

from collections.abc import Sequence
from typing import NamedTuple

from gpudock.env.services.place import LOGS, READY

ENDED = "gpudock: ended"  # begins a line of a service's log
SCRIPT = f"""
trap 'trap "" TERM HUP INT
    kill -TERM -1; kill -HUP -1
    n=0; while [ $n -lt 50 ] && kill -0 -1; do sleep 0.1; n=$((n + 1)); done
    exit 0' TERM HUP
if env --default-signal=INT,QUIT true 2>/dev/null; then plain() {{ exec env --default-signal=INT,QUIT "$@"; }}
elif command -v perl >/dev/null; then
    plain() {{ exec perl -e '$SIG{{INT}} = $SIG{{QUIT}} = "DEFAULT"; exec @ARGV' "$@"; }}
else plain() {{ exec "$@"; }}
fi
mkdir -p {LOGS}
serve() {{
    while :; do
        (plain "$@") </dev/null
        echo "{ENDED} with $?, starts again in 2 s"
        sleep 2
    done
}}
shell=$1; shift
while [ $# -gt 0 ]; do
    name=$1; count=$2; shift 2
    words=
    n=1; while [ $n -le $count ]; do words="$words \\"\\${{$n}}\\""; n=$((n + 1)); done
    eval "serve $words" >>{LOGS}/"$name".log 2>&1 &
    shift $count
done
exec 3<&0
while :; do
    if [ -t 3 ]; then
        (plain "$shell" -l) <&3 3<&- &
        wait $!
        echo "gpudock: this shell is the container's first; leave it with Ctrl-P Ctrl-Q"
        sleep 1
    else
        sleep 3600 &
        wait $!
    fi
done
"""
_WAIT = f"""n=0; until [ -e {READY} ]; do
    [ $n -ne 100 ] || echo "gpudock: this container waits for: gpudock env start"
    n=$((n + 1)); sleep 0.1
done; exec /bin/sh {READY} "$@"
"""


class Program(NamedTuple):
    name: str
    argv: tuple[str, ...]


def command(shell: str, programs: Sequence[Program]) -> tuple[str, ...]:
    """The container's command. Nothing secret is in it."""
    words = [word for each in programs for word in (each.name, str(len(each.argv)), *each.argv)]
    return ("/bin/sh", "-c", _WAIT, "gpudock", shell, *words)
